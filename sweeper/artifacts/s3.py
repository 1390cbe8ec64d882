"""Stages in a bucket: ``s3://bucket/prefix``.

Whole objects are put and fetched; there is no renaming. That a claim is created by one process only, and replaced
only while it is what was last seen, is S3's own conditional put (If-None-Match, If-Match), which pyarrow and fsspec's
plain writes do not offer: hence obstore (``pip install 'sweeper[s3]'``). Credentials, region and endpoint come from
the environment (``AWS_ACCESS_KEY_ID``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``...) or the machine's role, never from a
study. When an object was used is known from an empty object beside it, since S3 cannot touch one.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from sweeper.artifacts.place import Entry, Small
from trainables.errors import InputError

_USED = ".used"
_CHUNK = 8 << 20
#: Seconds of silence after which a request is given up; and for a whole one, which may be a large stage on a slow line
#: (obstore's own limit, 30 seconds, is no matter of silence).
SILENCE, LONGEST = 30.0, 900.0


class Bucket:
    """A place in a bucket.

    Args:
        url: ``s3://bucket/prefix``.

    Raises:
        InputError: If obstore is not installed.
    """

    #: A request takes tens of milliseconds and costs money.
    pace = 2.0
    remedy = "is there such a bucket, and are AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION set?"

    def __init__(self, url: str) -> None:
        self.url = url
        try:
            import obstore
            from obstore import exceptions
        except ModuleNotFoundError:
            raise InputError(f"stages.folder: {url} needs obstore; pip install 'sweeper[s3]'") from None
        self._obstore, self._errors = obstore, exceptions

    @cached_property
    def _store(self) -> Any:
        from obstore.store import S3Store

        retries: Any = {
            "max_retries": 3,
            "backoff": {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=5), "base": 2},
        }
        limits = {"connect_timeout": SILENCE, "read_timeout": SILENCE, "timeout": LONGEST}
        options: Any = {name: timedelta(seconds=each) for name, each in limits.items()}
        return S3Store.from_url(self.url, client_options={"allow_http": True, **options}, retry_config=retries)

    @contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """See `Place`."""
        with tempfile.TemporaryDirectory(prefix="sweeper-stage-") as folder:
            path = Path(folder) / "stage"
            yield path
            with self._trouble():
                self._obstore.put(self._store, name, path)

    @contextmanager
    def reading(self, name: str) -> Iterator[Path]:
        """See `Place`."""
        with tempfile.TemporaryDirectory(prefix="sweeper-stage-") as folder:
            path = Path(folder) / name
            with self._trouble(), path.open("wb") as file:
                for chunk in self._obstore.get(self._store, name).stream(min_chunk_size=_CHUNK):
                    file.write(chunk)
            yield path

    def see(self, name: str) -> Small | None:
        """See `Place`."""
        with suppress(FileNotFoundError), self._trouble():
            found = self._obstore.get(self._store, name)
            return Small(bytes(found.bytes()), str(found.meta["e_tag"]))
        return None

    def create(self, name: str, content: bytes) -> str | None:
        """See `Place`."""
        with suppress(FileExistsError):
            return self._put(name, content, "create")
        return None

    def replace(self, name: str, content: bytes, version: str) -> str | None:
        """See `Place`."""
        with suppress(FileExistsError, FileNotFoundError):
            return self._put(name, content, {"e_tag": version})
        return None

    def touch(self, name: str) -> None:
        """See `Place`."""
        with self._trouble():
            self._obstore.put(self._store, name + _USED, b"")

    def remove(self, name: str) -> None:
        """See `Place`."""
        with suppress(FileNotFoundError), self._trouble():
            self._obstore.delete(self._store, [name, name + _USED])

    def entries(self) -> list[Entry]:
        """See `Place`."""
        with self._trouble():
            found = [each for part in self._obstore.list(self._store) for each in part]
        written = {each["path"]: each["last_modified"].timestamp() for each in found}
        return [
            Entry(each["path"], each["size"], max(written[each["path"]], written.get(each["path"] + _USED, 0.0)))
            for each in found
            if not each["path"].endswith(_USED)
        ]

    def _put(self, name: str, content: bytes, mode: Any) -> str:
        with self._trouble():
            return str(self._obstore.put(self._store, name, content, mode=mode, use_multipart=False)["e_tag"])

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        """Say what went wrong in the words of a file system."""
        try:
            yield
        except (self._errors.AlreadyExistsError, self._errors.PreconditionError) as error:
            raise FileExistsError(_line(error)) from None
        except (self._errors.NotFoundError, FileNotFoundError) as error:
            raise FileNotFoundError(_line(error)) from None
        except self._errors.BaseError as error:
            raise OSError(_line(error)) from None


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
