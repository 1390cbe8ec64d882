"""What is known of recordings without decoding them: length, channels, checksum, and whether they can be read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

#: Hex digits of SHA-256 that are kept.
CHECKSUM = 16
#: A header may promise this share of a file more than there is: tools that count their own tail wrongly exist.
_SLACK = 0.01

#: ``watch(done, of)``
Watch = Callable[[int, int], None]


@dataclass(frozen=True)
class Facts:
    """One audio file.

    Attributes:
        seconds: Its length.
        channels: How many.
        checksum: `CHECKSUM` hex digits of SHA-256 over its bytes.
    """

    seconds: float
    channels: int
    checksum: str


def examine(paths: Iterable[Path], watch: Watch | None = None) -> dict[Path, Facts | str]:
    """Look at audio files, several at a time; for one that cannot be used, what is wrong with it, in words.

    Args:
        paths: The files; one that is named twice is looked at once.
        watch: Told after each file how many are done, of how many.
    """
    wanted = list(dict.fromkeys(paths))
    found: dict[Path, Facts | str] = {}
    # Threads: the disk is waited for, and hashing and libsndfile both let go of the interpreter.
    pool = ThreadPoolExecutor(max_workers=min(16, 4 * (os.cpu_count() or 1)))
    try:
        asked = {pool.submit(look, path): path for path in wanted}
        for done, future in enumerate(as_completed(asked), start=1):
            found[asked[future]] = future.result()
            if watch is not None:
                watch(done, len(wanted))
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def look(path: Path) -> Facts | str:
    """Length, channels and checksum of a file, or what is wrong with it."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            return "is no file"
        if size == 0:
            return "is empty"
        return _cut_off(path, size) or _read(path)
    except FileNotFoundError:
        return "is not there"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})"


def seconds(path: Path) -> float | None:
    """Length by the header alone; None where it cannot be read."""
    import soundfile  # loads a C library

    try:
        return float(soundfile.info(path).duration)
    except (soundfile.SoundFileError, RuntimeError, OSError):
        return None


def _read(path: Path) -> Facts | str:
    import soundfile  # loads a C library

    try:
        with soundfile.SoundFile(path) as file:
            if file.frames == 0:
                return "holds no sample"
            # A compressed file that was cut off has a whole header and no end.
            file.seek(file.frames - 1)
            if len(file.read(1)) == 0:
                return "is cut off"
            length, channels = file.frames / file.samplerate, file.channels
    except (soundfile.SoundFileError, RuntimeError) as error:
        return f"is no audio file that can be read ({str(error).splitlines()[-1].rstrip('. ')})"
    with path.open("rb") as stream:
        checksum = hashlib.file_digest(stream, "sha256").hexdigest()[:CHECKSUM]
    return Facts(length, channels, checksum)


def _cut_off(path: Path, size: int) -> str:
    """Whether a WAV file is shorter than its header says: libsndfile reads what is there without a word."""
    with path.open("rb") as stream:
        head = stream.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return ""
    promised = int.from_bytes(head[4:8], "little") + 8
    # Recorders that stream write the largest number, or 0.
    if promised >= 2**32 - 1024 or promised - size <= max(1024, _SLACK * promised):
        return ""
    return f"is cut off: its header says {promised:,} bytes, it has {size:,}"
