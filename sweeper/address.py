"""What a run is called: the path of its folder, or ``s3://bucket/prefix/name``, and where its copy on this machine is.

A run in a bucket is worked on in a folder of this machine and copied to the bucket (`sweeper.remote`). That folder
holds a note of the address, so that its path, given to a command, means the run in the bucket too.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

NOTE = ".s3.json"
_S3 = re.compile(r"s3://[a-z0-9][a-z0-9.-]+(/[^@?#]*)?")


def is_remote(address: str) -> bool:
    """Whether an address names something that is no folder."""
    return "://" in address


def is_s3(address: str) -> bool:
    """Whether an address names a bucket, or something in one, as it should."""
    return _S3.fullmatch(address) is not None


def join(storage: str, name: str) -> str:
    """The address of a run in a bucket."""
    return f"{storage.rstrip('/')}/{name}"


def copy_of(address: str, kind: str = "runs") -> Path:
    """The folder of this machine in which a run of a bucket is worked on, or (``kind`` ``seen``) is looked at.

    Below ``XDG_STATE_HOME``, or else ``~/.local/state``.
    """
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "sweeper" / kind / address.removeprefix("s3://").strip("/")


def of(run: str | Path) -> str:
    """The address of a run: of the one in a bucket that a folder is a copy of, or else what was given."""
    if is_remote(str(run)):
        return str(run).rstrip("/")
    try:
        return str(json.loads((Path(run) / NOTE).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(run)
