"""The Parquet files of a corpus folder: which hold the utterances, which only add features to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trainables.copies import augmentation_in, copy_of, is_copy
from trainables.errors import InputError

#: Columns that describe an utterance, as far as anything here reads them.
DESCRIPTION = ("utterance_id", "speaker", "session", "dialogue", "turn", "split", "label", "transcript")


@dataclass(frozen=True)
class File:
    """One table of a corpus.

    Attributes:
        name: How errors call it.
        schema: Its columns.
        read: Reads the named columns.
    """

    name: str
    schema: pa.Schema
    read: Callable[[Sequence[str]], pa.Table]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all its columns."""
        return tuple(self.schema.names)

    def features(self, modality: str) -> tuple[str, ...]:
        """Names of its feature columns of a modality: lists of numbers called ``<modality>_...``, but no copies."""
        vectors = (field.name for field in self.schema if is_vector(field.type))
        return tuple(name for name in vectors if name.startswith(f"{modality}_") and not is_copy(name))


@dataclass(frozen=True)
class Files:
    """The files of a corpus, told apart.

    Attributes:
        corpus: Name of the corpus, for errors.
        main: Files that hold utterances, no utterance twice.
        side: Files that add features to utterances of the main files.
        ids: Utterance ids of each file, by file name, in the file's order.
    """

    corpus: str
    main: tuple[File, ...]
    side: tuple[File, ...]
    ids: dict[str, list[str]]

    @property
    def all(self) -> tuple[File, ...]:
        """Main files first."""
        return self.main + self.side

    def features(self, modality: str) -> tuple[str, ...]:
        """Names of the corpus's feature columns of a modality, those of the main files first."""
        return tuple(dict.fromkeys(name for file in self.all for name in file.features(modality)))

    def copies(self, column: str) -> tuple[str, ...]:
        """Names of the columns that hold augmented copies of a feature column, sorted."""
        names = {field.name for file in self.all for field in file.schema if is_vector(field.type)}
        return tuple(sorted(name for name in names if name == copy_of(column, augmentation_in(name))))

    def holding(self, column: str) -> Iterator[File]:
        """The files that have a column."""
        return (file for file in self.all if column in file.columns)


def is_vector(kind: pa.DataType) -> bool:
    """Whether a column type is a list of numbers."""
    lists = (pa.types.is_fixed_size_list, pa.types.is_list, pa.types.is_large_list)
    if not any(check(kind) for check in lists):
        return False
    return bool(pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type))


def in_memory(corpus: str, table: pa.Table) -> Files:
    """A corpus of one table that is already in memory."""
    return _tell_apart(corpus, [File(corpus, table.schema, lambda names: table.select(list(names)))])


def open_folder(path: Path) -> Files:
    """Find the Parquet files of a folder and read their schemas and utterance ids.

    Raises:
        InputError: If there is no such folder, no Parquet file in it, one that cannot be read, or one without
            ``utterance_id``; if an utterance occurs twice or a side file has one that no main file has.
    """
    if not path.is_dir():
        kind = "is a file" if path.exists() else "does not exist"
        raise InputError(f"corpus {path}: {kind}; give a folder of Parquet files, or builtin")
    found = sorted(path.glob("*.parquet"))
    if not found:
        others = ", ".join(sorted(each.name for each in path.iterdir())[:3]) or "nothing"
        raise InputError(
            f"corpus {path}: no *.parquet file in this folder, found {others}; "
            "write the utterances as Parquet, for example with pandas' to_parquet"
        )
    return _tell_apart(path.resolve().name, [_open(each) for each in found])


def _open(path: Path) -> File:
    def read(names: Sequence[str]) -> pa.Table:
        try:
            return pq.read_table(path, columns=list(names), partitioning=None)
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from None

    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    twice = [name for name in schema.names if schema.names.count(name) > 1]
    if twice:
        raise InputError(f"{path.name}: {twice[0]}: there are two columns of this name; rename or remove one")
    return File(path.name, schema.remove_metadata(), read)


def _unreadable(path: Path, error: Exception) -> InputError:
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as refused:
        return InputError(f"{path.name}: cannot be opened ({refused.strerror}); check its permissions")
    if not head:
        what = "is empty"
    elif head != b"PAR1":
        what = "is not a Parquet file, whatever its name says"
    else:
        what = f"is cut off or damaged ({str(error).splitlines()[0].rstrip('.')})"
    return InputError(f"{path.name}: {what}; copy or write it again, for example with pandas' to_parquet")


def _tell_apart(corpus: str, files: list[File]) -> Files:
    """Files with a speaker and new utterances are main ones; those about known utterances are side files."""
    ids = {file.name: _ids(file) for file in files}
    if not any("speaker" in file.columns for file in files):
        names = ", ".join(file.name for file in files)
        raise InputError(
            f"{names}: no column speaker, found {', '.join(files[0].columns[:8])}; "
            "folds keep speakers apart, so every utterance needs one: add a text column speaker"
        )
    main: list[File] = []
    side: list[File] = []
    seen: dict[str, str] = {}
    described = sorted(files, key=lambda file: (-len(set(file.columns) & set(DESCRIPTION)), file.name))
    for file in sorted(described, key=lambda file: "speaker" not in file.columns):
        known = [name for name in ids[file.name] if name in seen]
        if "speaker" in file.columns and not known:
            main.append(file)
            seen.update(dict.fromkeys(ids[file.name], file.name))
        else:
            _check_side(file, ids[file.name], seen, known)
            side.append(file)
    return Files(corpus, tuple(sorted(main, key=_name)), tuple(sorted(side, key=_name)), ids)


def _name(file: File) -> str:
    return file.name


def _check_side(file: File, ids: list[str], seen: dict[str, str], known: list[str]) -> None:
    strangers = [(row, name) for row, name in enumerate(ids) if name not in seen]
    if not strangers:
        return
    row, name = strangers[0]
    where = ", ".join(sorted(set(seen.values())))
    if known:
        raise InputError(
            f"{file.name}: utterance_id {known[0]!r} is also in {seen[known[0]]}, but row {row} ({name!r}) is in "
            f"no other file; a file holds either new utterances or features of known ones"
        )
    raise InputError(
        f"{file.name}: utterance_id, row {row}: {name!r} is not in {where}, which hold the speakers; "
        "correct the id or remove the row"
    )


def _ids(file: File) -> list[str]:
    if "utterance_id" not in file.columns:
        raise InputError(
            f"{file.name}: no column utterance_id, found {', '.join(file.columns[:8])}; "
            "add one, it names each utterance once and joins the files of a corpus"
        )
    if not file.schema.field("utterance_id").type.equals(pa.string()):
        column = text_column(file, "utterance_id")
    else:
        column = file.read(["utterance_id"])["utterance_id"]
    if len(column) == 0:
        raise InputError(f"{file.name}: has no rows; remove the file or write its utterances")
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise InputError(f"{file.name}: utterance_id, row {row}: is missing; give every utterance a name")
    names: list[str] = column.to_pylist()
    first: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name.strip():
            raise InputError(f"{file.name}: utterance_id, row {row}: {name!r} is blank; give every utterance a name")
        if name in first:
            raise InputError(
                f"{file.name}: utterance_id, row {row}: {name!r} is already in row {first[name]}; "
                "remove one of the two or give it another name"
            )
        first[name] = row
    return names


def rows_of(ids: Sequence[str], position: Mapping[str, int]) -> np.ndarray:
    """The row of each utterance id, shape (len(ids),)."""
    return np.fromiter((position[name] for name in ids), dtype=np.int64, count=len(ids))


def text_column(file: File, name: str) -> pa.ChunkedArray:
    """Read a column as text, whatever it is stored as.

    Raises:
        InputError: If it holds lists or the like.
    """
    column = file.read([name])[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        return pc.cast(column, pa.string())
    except pa.ArrowException:
        raise InputError(f"{file.name}: {name}: holds {column.type}, expected text; write it as strings") from None
