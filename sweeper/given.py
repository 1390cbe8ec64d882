"""Vectors that another program made, such as of faces, as a side file of a corpus."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from sweeper.extracted import Outcome, check_column
from sweeper.side_file import SideFile
from trainables.corpus_files import open_folder
from trainables.errors import InputError
from trainables.extraction import tables


def write(corpus: str | Path, source: Path, column: str = "") -> Outcome:
    """Write vectors that another program made, such as of faces, as a side file of a corpus.

    Args:
        corpus: The corpus folder.
        source: ``.npz``, ``.parquet`` or ``.csv``; see `trainables.extraction.tables.read`.
        column: The feature column; ``video_`` and the file's name if "".

    Raises:
        InputError: If the file cannot be used, or none of its utterances is in the corpus.
    """
    folder = Path(corpus)
    files = open_folder(folder)
    ids = [name for file in files.main for name in files.ids[file.name]]
    made = tables.read(source)
    column = column or "video_" + (re.sub(r"[^a-z0-9]+", "_", source.stem.lower()).strip("_") or "features")
    if not re.fullmatch(r"video_[^/\\\s]+", column):
        raise InputError(f"--column: {column!r} is not the name of video features; call it video_..., without spaces")
    known = [name for name in ids if name in made]
    strangers = len(made) - len(known)
    if not known:
        raise InputError(
            f"{source}: none of its {len(made)} utterances is in corpus {files.corpus}, such as "
            f"{next(iter(made))!r}; the corpus has {ids[0]!r}"
        )
    side = SideFile(folder, column, sequence=False, fingerprint=_fingerprint(made, known))
    check_column({name: file.name for file in files.all for name in file.columns}, column, side.path.name)
    missing = [name for name in ids if name not in made]
    if side.is_done():
        return Outcome(column, side.path, unchanged=True)
    with side.writing():
        side.add(0, known, [made[name] for name in known])
        size = side.finish(missing, {}, {"request": {"file": source.name}, "versions": {}})
    notes = (f"{strangers} utterances of {source.name} are not in the corpus and were left out",) if strangers else ()
    return Outcome(column, side.path, size=size, utterances=len(known), missing=len(missing), notes=notes)


def _fingerprint(made: Mapping[str, np.ndarray], names: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(f"{name}\0{len(made[name])}\0".encode() + made[name].tobytes())
    return digest.hexdigest()
