"""Corpora that cannot be trained on or classified, and protocols that a corpus does not allow."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
from bad_case import Case, Spoil, cut_off, removed, replaced, write

_FILE = "toy/toy.parquet"
_ROWS = 96
_CHECK = ("data", "check", "toy")


def _table(change: Callable[[pa.Table], pa.Table]) -> Spoil:
    """Write the corpus anew, changed."""
    return lambda folder: pq.write_table(change(pq.read_table(folder / _FILE)), folder / _FILE)


def _column(name: str, values: Callable[[list[Any]], Any]) -> Spoil:
    """Replace a column, or add one."""

    def change(table: pa.Table) -> pa.Table:
        old = table[name].to_pylist() if name in table.column_names else [None] * len(table)
        new = values(old)
        new = new if isinstance(new, pa.Array) else pa.array(new)
        if name not in table.column_names:
            return table.append_column(name, new)
        return table.set_column(table.column_names.index(name), name, new)

    return _table(change)


def _at(row: int, value: Any) -> Callable[[list[Any]], list[Any]]:
    return lambda old: [*old[:row], value, *old[row + 1 :]]


def _all(value: Any, kind: pa.DataType | None = None) -> Callable[[list[Any]], pa.Array]:
    return lambda old: pa.array([value] * len(old), kind)


def _without(*names: str) -> Spoil:
    return _table(lambda table: table.drop_columns(list(names)))


def _only(keep: Callable[[dict[str, Any]], bool]) -> Spoil:
    """Keep some of the utterances."""
    return _table(lambda table: pa.Table.from_pylist([row for row in table.to_pylist() if keep(row)], table.schema))


def _beside(name: str, change: Callable[[pa.Table], pa.Table]) -> Spoil:
    """Write a second file, made from the first."""
    return lambda folder: pq.write_table(change(pq.read_table(folder / _FILE)), folder / "toy" / name)


def _instead(save: Callable[[pa.Table, Path], object]) -> Spoil:
    """The same table as another kind of file, under the name of a Parquet file."""

    def spoil(folder: Path) -> None:
        table = pq.read_table(folder / _FILE)
        (folder / _FILE).unlink()
        save(table, folder / _FILE)

    return spoil


def _damaged(at: float, size: int = 64) -> Spoil:
    """Overwrite some bytes."""

    def spoil(folder: Path) -> None:
        content = bytearray((folder / _FILE).read_bytes())
        start = int(len(content) * at)
        content[start : start + size] = b"\xff" * size
        (folder / _FILE).write_bytes(bytes(content))

    return spoil


def _folder_inside(folder: Path) -> None:
    (folder / _FILE).unlink()
    (folder / _FILE).mkdir()


def _dangling(folder: Path) -> None:
    (folder / _FILE).unlink()
    (folder / _FILE).symlink_to("nowhere.parquet")


def _case(name: str, spoil: Spoil, *says: str, command: tuple[str, ...] = ("run", "study.yaml")) -> Case:
    return Case(f"corpus: {name}", spoil, says, command)


def _vector(name: str, values: Callable[[list[Any]], Any], *says: str) -> Case:
    return _case(name, _column("audio_toy", values), "toy.parquet: audio_toy", *says)


def _entry(old: list[Any], row: int, value: float) -> list[Any]:
    changed = [list(each) for each in old]
    changed[row][2] = value
    return changed


FILES = (
    _case("no file", removed(_FILE), "toy: no *.parquet file", "write the utterances as Parquet"),
    _case("0 bytes", write(_FILE, b""), "toy.parquet: is empty", "write it again"),
    _case("one byte", write(_FILE, b"P"), "toy.parquet: is not a Parquet file", "write it again"),
    _case("the magic bytes alone", write(_FILE, b"PAR1"), "toy.parquet: is cut off or damaged", "write it again"),
    _case("the magic bytes twice", write(_FILE, b"PAR1PAR1"), "toy.parquet: is cut off", "write it again"),
    _case("an empty footer", write(_FILE, b"PAR1" + bytes(4) + b"PAR1"), "toy.parquet: is cut off", "again"),
    _case("a footer too long", write(_FILE, b"PAR1\xff\xff\xff\x7fPAR1"), "toy.parquet: is cut off", "again"),
    _case("encrypted", write(_FILE, b"PARE" + bytes(100) + b"PARE"), "toy.parquet", "again"),
    *(
        _case(f"cut off at {keep:.0%}", cut_off(_FILE, keep), "toy.parquet: is cut off or damaged", "write it again")
        for keep in (0.1, 0.5, 0.9, 0.99)
    ),
    _case("damaged pages", _damaged(0.02, 400), "toy.parquet: is cut off or damaged", "write it again"),
    _case("damaged footer", _damaged(0.9, 200), "toy.parquet: is cut off or damaged", "write it again"),
    _case(
        "a CSV in disguise",
        _instead(lambda table, path: table.to_pandas().to_csv(path)),
        "toy.parquet: is not a Parquet file",
        "to_parquet",
    ),
    _case("an Arrow file in disguise", _instead(pyarrow.feather.write_feather), "is not a Parquet file", "to_parquet"),
    _case("a pickle in disguise", write(_FILE, pickle.dumps({"a": 1})), "is not a Parquet file", "to_parquet"),
    _case("JSON in disguise", write(_FILE, "[]"), "toy.parquet: is not a Parquet file", "to_parquet"),
    _case("a web page in disguise", write(_FILE, "<html>404</html>"), "is not a Parquet file", "to_parquet"),
    _case(
        "Git LFS in its place", write(_FILE, "version https://git-lfs.github.com/spec/v1\n"), "is not a Parquet file"
    ),
    _case("a folder in its place", _folder_inside, "toy.parquet: cannot be opened"),
    _case("a link to nothing", _dangling, "toy.parquet", "cannot be opened"),
    _case("no rows", _table(lambda table: table.slice(0, 0)), "toy.parquet: has no rows", "remove the file or write"),
    _case("no columns", _table(lambda table: table.select([])), "toy.parquet: no column utterance_id", "add one"),
    _case("checked without a file", removed(_FILE), "no *.parquet file", command=_CHECK),
    _case("checked at 0 bytes", write(_FILE, b""), "toy.parquet: is empty", command=_CHECK),
    _case("checked when cut off", cut_off(_FILE), "toy.parquet: is cut off or damaged", command=_CHECK),
    _case("checked with damaged pages", _damaged(0.02, 400), "toy.parquet: is cut off", command=_CHECK),
    _case("checked without speakers", _without("speaker"), "no column speaker", command=_CHECK),
    _case("checked with NaN", _column("audio_toy", lambda old: _entry(old, 5, np.nan)), "row 5", command=_CHECK),
)

DESCRIPTIONS = (
    _case("no ids", _without("utterance_id"), "toy.parquet: no column utterance_id", "add one"),
    _case("no speakers", _without("speaker"), "no column speaker", "add a text column speaker"),
    _case("no labels", _without("label"), "label: no utterance is labeled", "add a text column label"),
    _case("no features", _without("audio_toy", "text_toy"), "no feature column", "audio_..., text_..., video_..."),
    _case("no audio", _without("audio_toy"), "mi_infogan needs audio"),
    _case(
        "a misspelt column", _table(lambda t: t.rename_columns(["id", *t.column_names[1:]])), "no column utterance_id"
    ),
    _case("an id twice", _column("utterance_id", lambda old: [old[1], *old[1:]]), "utterance_id, row 1", "remove one"),
    _case("every id the same", _column("utterance_id", _all("u")), "row 1: 'u' is already in row 0"),
    _case("an id missing", _column("utterance_id", _at(7, None)), "utterance_id, row 7: is missing", "give every"),
    _case("an empty id", _column("utterance_id", _at(7, "")), "utterance_id, row 7", "name"),
    _case("ids that are lists", _column("utterance_id", _all([1])), "utterance_id: holds list", "write it as strings"),
    _case(
        "a column twice",
        _table(lambda t: t.append_column("speaker", t["speaker"])),
        "speaker: there are two columns",
        "rename or remove one",
    ),
    _case("speaker missing", _column("speaker", _at(3, None)), "speaker, row 3", "is missing; every utterance needs"),
    _case("speaker blank", _column("speaker", _at(3, "  ")), "speaker, row 3", "blank or padded"),
    _case("speakers that are lists", _column("speaker", _all(["a"])), "speaker: holds list", "write it as strings"),
    _case("speakers that are structs", _column("speaker", _all({"a": 1})), "speaker: holds struct", "as strings"),
    _case("speakers that are bytes", _column("speaker", _all(b"\xff\xfe")), "speaker", "write it as strings"),
    _case("speakers all null", _column("speaker", _all(None)), "speaker, row 0", "is missing"),
    _case("session missing", _column("session", _at(3, None)), "session, row 3", "is missing"),
    _case("dialogue missing", _column("dialogue", _at(3, None)), "dialogue, row 3", "is missing"),
    _case("turns of text", _column("turn", _all("one")), "turn: holds string", "write it as int"),
    _case("turns of halves", _column("turn", _all(0.5)), "turn: holds double", "write it as int"),
    _case("a turn missing", _column("turn", _at(3, None)), "turn, row 3", "number the turns from 0"),
    _case("turns beyond numbers", _column("turn", _all(2**64 - 1, pa.uint64())), "turn: holds numbers beyond 64 bits"),
    _case("a split of no part", _column("split", _all("validation")), "split, row 0", "expected train, dev, test"),
    _case("splits of numbers", _column("split", _all(1)), "split, row 0", "found '1'"),
    _case("a label padded", _column("label", _at(3, " sad")), "label, row 3", "blank or padded"),
    _case("labels that are lists", _column("label", _all(["sad"])), "label: holds list", "write it as strings"),
    _case("labels all null", _column("label", _all(None, pa.string())), "label: no utterance is labeled"),
    _case("labels not a number", _column("label", _all(float("nan"))), "label"),
    _case("one class", _column("label", _all("sad")), "label: all 96 labels are 'sad'", "at least 2 classes"),
    _case(
        "a class with one utterance", _column("label", _at(3, "<b>odd</b>")), "has a single utterance", "set its label"
    ),
    _case("a class of 300 letters", _column("label", _at(3, "x" * 300)), "has a single utterance"),
    _case("a class with a line break", _column("label", _at(3, "a\nb")), "has a single utterance"),
    _case("a speaker with a line break", _column("speaker", _at(3, "a\n")), "row 3", "blank or padded"),
    _case("a column of markup", _table(lambda t: t.rename_columns(["<b>", *t.column_names[1:]])), "found <b>"),
)

FEATURES = (
    _vector("NaN", lambda old: _entry(old, 5, np.nan), "row 5", "NaN at index 2", "make the whole vector NaN"),
    _vector("infinite", lambda old: _entry(old, 5, np.inf), "row 5", "an infinite value at index 2"),
    _vector("infinite downwards", lambda old: _entry(old, 0, -np.inf), "row 0", "an infinite value"),
    _vector("beyond float32", lambda old: _entry(old, 5, 1e300), "row 5", "an infinite value"),
    _vector("ragged", lambda old: [*old[:5], old[5][:3], *old[6:]], "row 5", "3 values, the others have 5"),
    _vector("a vector empty", lambda old: [*old[:5], [], *old[6:]], "row 5", "0 values, the others have 5"),
    _vector("a null inside", lambda old: [*old[:5], [1.0, None, 1.0, 1.0, 1.0], *old[6:]], "row 5", "NaN at index 1"),
    _vector("vectors empty", _all([], pa.list_(pa.float32())), "vectors are empty"),
    _vector("vectors null", _all(None, pa.list_(pa.float32())), "holds only nulls", "remove the column"),
    _case("all NaN", _column("audio_toy", _all([np.nan] * 5)), "audio_toy: no utterance has a vector"),
    _case("audio of text", _column("audio_toy", _all("wav")), "mi_infogan needs audio"),
    _case("audio of numbers", _column("audio_toy", _all(1.5)), "mi_infogan needs audio"),
    _case("audio of bytes", _column("audio_toy", _all(b"RIFF")), "mi_infogan needs audio"),
    _case("audio of structs", _column("audio_toy", _all({"a": 1.0})), "mi_infogan needs audio"),
    _case("audio of lists of lists", _column("audio_toy", _all([[1.0]])), "mi_infogan needs audio"),
    _case("audio of lists of text", _column("audio_toy", _all(["a"])), "mi_infogan needs audio"),
    _case("flags of text", _column("has_audio", _all("yes")), "has_audio: holds string", "write it as bool"),
    _case("nobody has audio", _column("has_audio", _all(False)), "audio_toy: no utterance has a vector"),
    _case(
        "two columns",
        _column("audio_b", _all([1.0, 2.0])),
        "several audio columns",
        "choose one, for example features: {audio: audio_toy}",
    ),
    _case("features of objects", _column("audio_toy", _all(pickle.dumps([1.0]))), "mi_infogan needs audio"),
)

SEVERAL = (
    _case("a side file of strangers",
          _beside("side.parquet", lambda t: pa.table({"utterance_id": ["zz"], "text_b": [[1.0]]})),
          "side.parquet: utterance_id, row 0: 'zz' is not in toy.parquet"),
    _case("a side file twice the column", _beside("side.parquet", lambda t: t.select(["utterance_id", "audio_toy"])),
          "audio_toy", "keep it in one of the two files"),
    _case("a side file without ids", _beside("side.parquet", lambda t: t.select(["audio_toy"])), "side.parquet",
          "no column utterance_id"),
    _case("a side file of other labels",
          _beside("side.parquet", lambda t: pa.table({"utterance_id": t["utterance_id"], "label": ["odd"] * _ROWS})),
          "side.parquet: label, row 0", "correct one of the two"),
    _case("a second file half new",
          _beside("two.parquet", lambda t: pa.table({"utterance_id": ["s0F00", "zz"], "speaker": ["a", "b"]})),
          "two.parquet", "a file holds either new utterances or features of known ones"),
    _case("a second file of another size",
          _beside("two.parquet", lambda t: pa.Table.from_pylist(
              [{**row, "utterance_id": f"x{row['utterance_id']}", "audio_toy": [1.0, 2.0]} for row in t.to_pylist()])),
          "two.parquet: audio_toy: vectors have 2 values", "same settings"),
    _case("a second file empty", lambda folder: (folder / "toy" / "two.parquet").write_bytes(b""),
          "two.parquet: is empty"),
    _case("a second file with a name of markup",
          lambda folder: (folder / "toy" / "<b>'\"&.parquet").write_bytes(b"x"), "<b>'\"&.parquet: is not a Parquet"),
    _case("a second file with a line break in its name",
          lambda folder: (folder / "toy" / "a\nb.parquet").write_bytes(b"x"), "a\\nb.parquet: is not a Parquet"),
)  # fmt: skip


def _protocol(name: str, written: str, *says: str, spoil: Spoil | None = None) -> Case:
    """A protocol that cannot be, or not on this corpus."""

    def both(folder: Path) -> None:
        replaced("study.yaml", "protocol: {kind: leave-one-session-out}", f"protocol: {written}")(folder)
        if spoil:
            spoil(folder)

    return Case(f"protocol: {name}", both, says)


_ONE_SPEAKER = _column("speaker", _all("me"))
_TWO_SPEAKERS = _column("speaker", lambda old: [f"s{row % 2}" for row in range(len(old))])

PROTOCOLS = (
    _protocol("unknown", "{kind: leave-one-out}", "line 4", "protocol.kind: must be 'leave-one-speaker-out'"),
    _protocol("a list", "[leave-one-speaker-out]", "line 4", "protocol: must be a section"),
    _protocol("unknown key", "{kind: predefined, k: 5}", "line 4", "protocol.k: no such key"),
    _protocol("two folds", "{kind: group-k-fold, folds: 2}", "line 4", "protocol.folds: must be at least 3"),
    _protocol("folds in words", "{kind: group-k-fold, folds: five}", "protocol.folds: must be a whole number"),
    _protocol("folds not whole", "{kind: group-k-fold, folds: 3.5}", "protocol.folds: must be a whole number"),
    _protocol("seed negative", "{kind: group-k-fold, seed: -1}", "protocol.seed: must be at least 0"),
    _protocol("dev of another kind", "{kind: group-k-fold, dev: session}", "dev: session does not fit", "use auto"),
    _protocol("group of another kind", "{kind: predefined, group: session}", "group: fits group-k-fold only"),
    _protocol("folds of the corpus's split", "{kind: predefined, folds: 3}", "a predefined split is one fold"),
    _protocol("more folds than speakers", "{kind: group-k-fold, folds: 50}", "needs 50 speakers", "use fewer folds"),
    _protocol("no split", "predefined", "protocol.kind: corpus toy has no column split", "use another kind"),
    _protocol("a split without test", "predefined", "no labeled utterance with split",
              spoil=_column("split", _all("train"))),
    _protocol("a split unlabeled", "predefined", "no labeled utterance with split",
              spoil=_column("split", _all(None, pa.string()))),
    _protocol("one speaker", "leave-one-speaker-out", "needs 3 speakers", "has 1", spoil=_ONE_SPEAKER),
    _protocol("one speaker in groups", "group-k-fold", "needs 5 speakers", "use fewer folds", spoil=_ONE_SPEAKER),
    _protocol("one speaker in sessions", "leave-one-session-out", "is in several sessions", "use leave-one-speaker-out",
              spoil=_ONE_SPEAKER),
    _protocol("two speakers", "leave-one-speaker-out", "needs 3 speakers", "has 2", spoil=_TWO_SPEAKERS),
    _protocol("one session", "leave-one-session-out", "needs 3 sessions", "has 1",
              spoil=_column("session", _all("only"))),
    _protocol("two sessions", "leave-one-session-out", "needs 3 sessions", "has 2",
              spoil=_only(lambda row: row["session"] in ("s0", "s1"))),
    _protocol("a class with one speaker", "leave-one-speaker-out", "train has", "merge classes",
              spoil=_column("label", lambda old: ["odd"] * 6 + old[6:])),
    _protocol("a speaker of one class", "leave-one-speaker-out", "has 1 of 2 classes", "merge classes",
              spoil=_column("label", lambda old: ["sad"] * 12 + old[12:])),
    _protocol("too few speakers a session", "{kind: leave-one-speaker-out, dev: same-session}", "protocol.dev",
              "use speaker", spoil=_column("session", lambda old: [f"z{row // 12}" for row in range(len(old))])),
    _protocol("too many folds of sessions", "{kind: leave-one-session-out, folds: 9}", "needs 9 sessions"),
)  # fmt: skip

CASES = (*FILES, *DESCRIPTIONS, *FEATURES, *SEVERAL, *PROTOCOLS)
