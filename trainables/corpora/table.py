"""Any corpus that a CSV file describes: one line an utterance, columns known by their usual names or by given ones."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from pydantic import Field

from trainables.corpora import sources
from trainables.corpora.reader import Options, Reader, Row, Tree
from trainables.errors import InputError

#: Our column -> names that it commonly has, in the order they are looked for.
USUAL: dict[str, tuple[str, ...]] = {
    "utterance_id": ("utterance_id", "utterance", "utt_id", "id", "name", "segment_id"),
    "recording": ("recording", "file", "path", "wav", "audio", "filename", "file_name", "audio_path", "wav_path"),
    "speaker": ("speaker", "speaker_id", "spk", "spk_id", "spkr", "subject", "actor"),
    "session": ("session", "session_id"),
    "dialogue": ("dialogue", "dialogue_id", "dialog", "conversation", "conversation_id"),
    "turn": ("turn", "turn_id"),
    "split": ("split", "partition", "set", "split_set"),
    "label": ("label", "emotion", "emo", "class", "category"),
    "transcript": ("transcript", "text", "transcription", "sentence"),
    "gender": ("gender", "sex"),
    "start": ("start", "start_time", "begin", "onset"),
    "end": ("end", "end_time", "offset", "stop"),
    "channel": ("channel",),
}
_SPLITS = {
    "train": ("train", "training", "trn"),
    "dev": ("dev", "devel", "development", "val", "valid", "validation"),
    "test": ("test", "testing", "eval", "evaluation"),
}


class Table(Options):
    """Options of the reader."""

    file: str | None = None
    """The CSV file inside the folder, where there are several."""
    columns: dict[str, str] = Field({})
    """Name in the CSV file of a column of ours, such as ``{speaker: who, label: feeling}``, where the usual names fail:
    utterance_id, recording, speaker, session, dialogue, turn, split, label, transcript, gender, start, end, channel."""
    audio: str = "."
    """Folder of the recordings, from the CSV file's own."""
    classes: dict[str, str] = Field({})
    """Class of each label; a label that is not named here gets none. Left out, labels are classes as they are."""


def read(source: Path, options: Table) -> Tree:
    """One utterance a line; columns that are not known by name are kept as text.

    Raises:
        InputError: If there is no CSV file or no speaker, or a line cannot be read.
    """
    file = _file(source, options.file)
    lines = sources.table(file)
    columns = known(file, list(lines[0][1]), options.columns)
    if "recording" not in columns and "transcript" not in columns:
        raise InputError(
            f"{file}: has neither recordings nor transcripts; name a column, --set columns={{recording: ...}}"
        )
    folder = (file.parent / Path(options.audio).expanduser()).absolute()
    tree = Tree([_row(file, number, cells, columns, folder) for number, cells in lines])
    _name(file, tree.rows, [number for number, _ in lines])
    return tree


def _file(source: Path, name: str | None) -> Path:
    if source.is_file() and name is None:
        return source
    sources.folder(source, READER.layout)
    if name is not None:
        return source / name
    found = [
        each for pattern in ("*.csv", "*.tsv") for each in sorted(source.glob(pattern)) if not sources.hidden(each.name)
    ]
    if len(found) != 1:
        what = f"holds {', '.join(each.name for each in found[:4])}" if found else "holds no *.csv"
        raise InputError(f"{source}: {what}; name the file, such as --set file=labels.csv")
    return found[0]


def known(file: Path, there: list[str], asked: dict[str, str]) -> dict[str, str]:
    """Which column of a file stands for which of ours.

    Args:
        file: The file, for errors.
        there: Its columns.
        asked: Those that were named.

    Returns:
        Our name -> the file's.

    Raises:
        InputError: If a column that was named, or the speaker, is not there.
    """
    for ours, theirs in asked.items():
        if ours not in USUAL:
            raise InputError(f"--set columns: there is no column {ours!r} to fill; there is {', '.join(USUAL)}")
        if theirs not in there:
            raise InputError(f"{file}: has no column {theirs!r} for {ours}; it has {', '.join(there[:12])}")
    folded = {name.casefold().replace(" ", "_"): name for name in there if name not in asked.values()}
    columns = dict(asked)
    for ours, names in USUAL.items():
        found = next((folded[name] for name in names if name in folded), None)
        if ours not in columns and found is not None:
            columns[ours] = folded.pop(found.casefold().replace(" ", "_"))
    if "speaker" not in columns:
        raise InputError(
            f"{file}: has no column speaker, found {', '.join(there[:12])}; folds keep speakers apart, so name it: "
            "--set 'columns={speaker: ...}'"
        )
    return columns


def _row(file: Path, number: int, cells: dict[str, str], columns: dict[str, str], folder: Path) -> Row:
    ours: dict[str, Any] = {name: cells[theirs] or None for name, theirs in columns.items()}
    for name in ("speaker", "session", "dialogue", "turn"):
        if name in columns and ours[name] is None:
            raise sources.malformed(file, number, "", f"a {name} in column {columns[name]}")
    others = {name: cell or None for name, cell in cells.items() if name not in columns.values() and _free(name)}
    for name in ("start", "end", "channel", "turn"):
        if ours.get(name) is not None:
            ours[name] = sources.number(file, number, columns[name], ours[name])
    for name in ("channel", "turn"):
        if ours.get(name) is not None:
            ours[name] = _whole(file, number, columns[name], ours[name])
    ours["split"] = split(file, number, ours.get("split"))
    ours["label_raw"] = ours.pop("label", None)
    ours["recording"] = _place(folder, ours.get("recording"))
    return {**others, **ours}


def _free(name: str) -> bool:
    """Whether a column may keep its name: it is none that the corpus itself will have."""
    return bool(name) and name not in (*USUAL, "label_raw", "corpus", "duration", "checksum", "has_audio", "has_text")


def _whole(file: Path, number: int, name: str, value: float) -> int:
    if not 0 <= value < 2**31 or value != int(value):
        raise sources.malformed(file, number, f"{value:g}", f"a whole number from 0 in column {name}")
    return int(value)


def split(file: Path, number: int, text: str | None) -> str | None:
    """train, dev or test, whatever it is called.

    Raises:
        InputError: If it is none of them.
    """
    if text is None:
        return None
    for ours, names in _SPLITS.items():
        if text.casefold() in names:
            return ours
    raise sources.malformed(file, number, text, "train, dev or test as the split, or nothing")


def _place(folder: Path, text: str | None) -> Path | None:
    if text is None:
        return None
    path = folder / Path(text.replace("\\", "/")).expanduser()
    if path.suffix.lower() not in sources.AUDIO and not path.exists():
        # Names without their suffix are common.
        there = (path.with_name(path.name + suffix) for suffix in sources.AUDIO)
        return next((each for each in there if each.exists()), path.with_name(f"{path.name}.wav"))
    return path


def _name(file: Path, rows: list[Row], numbers: list[int]) -> None:
    """Utterances without a name get their recording's, or that and the time; all of them must differ."""
    taken = Counter(path.stem for path in {row["recording"] for row in rows if row["recording"] is not None})
    first: dict[str, int] = {}
    for row, number in zip(rows, numbers, strict=True):
        name = row.get("utterance_id") or own_name(row, taken) or f"line_{number}"
        row["utterance_id"] = name
        if name in first:
            raise sources.malformed(file, number, name, f"each utterance once, it is in line {first[name]}")
        first[name] = number


def own_name(row: Row, taken: Counter[str]) -> str:
    """A name after the recording and where the utterance starts in it; "" where there is no recording.

    Args:
        row: The utterance.
        taken: How many recordings have each name.
    """
    path = row["recording"]
    if path is None:
        return ""
    stem = path.stem if taken[path.stem] == 1 else f"{path.parent.name}_{path.stem}"
    return stem if row.get("start") is None else f"{stem}_{row['start']:.3f}"


READER = Reader(
    name="csv",
    title="a CSV file",
    citation="",
    layout="a CSV file with a line an utterance",
    options=Table,
    read=read,
)
