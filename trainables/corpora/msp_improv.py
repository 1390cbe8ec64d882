"""MSP-IMPROV (Busso et al. 2017) as distributed: ``Evalution.txt`` (so spelled) with all votes, and the audio."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field

from trainables.corpora import sources
from trainables.corpora.reader import Options, Published, Reader, Row, Tree

_VALUE = r"\s*(-?\d+(?:\.\d+)?|NaN)\s*"
#: ``UTD-IMPROV-S01A-F01-P-FM01.avi; N; A:2.400000; V:2.800000; D:2.800000 ; N:3.200000;``
_CONSENSUS = re.compile(
    rf"UTD-IMPROV-(?P<id>\S+?)\.avi;\s*(?P<label>[A-Z]);\s*A:{_VALUE};\s*V:{_VALUE};\s*D:{_VALUE};\s*N:{_VALUE};?"
)
_ID = re.compile(
    r"MSP-IMPROV-(?P<sentence>S\d\d[AHNS])-(?P<speaker>(?P<who>[FM])(?P<session>\d\d))-(?P<scenario>[PRST])-"
    r"(?P<part>[FM]{2})(?P<turn>\d+)"
)
_RATINGS = ("activation", "valence", "dominance", "naturalness")
#: The corpus's own names of what a recording's letter means.
SCENARIOS = {
    "P": "Natural-interaction",
    "R": "Target-read",
    "S": "Other-improvised",
    "T": "Target-improvised",
}


class MspImprov(Options):
    """Options of the reader."""

    shortest: float = Field(1.0, ge=0)
    """Utterances shorter than this many seconds are left out (Du et al. 2024, section 4.1); 0 keeps all."""
    classes: dict[str, str] = Field({"A": "angry", "H": "happy", "N": "neutral", "S": "sad"})
    """Class of each letter; O (other) and X (no agreement) get none."""


@dataclass
class _Judged:
    """An utterance of the evaluation file: its consensus, and who voted for what."""

    line: int
    label: str
    ratings: dict[str, float | None]
    votes: dict[str, str] = field(default_factory=dict)


def read(source: Path, options: MspImprov) -> Tree:
    """Every utterance of the evaluation file; its label is the consensus that the file gives.

    Raises:
        InputError: If there is no evaluation file, or a line of it cannot be read.
    """
    file = sources.find(
        sources.folder(source, READER.layout), ("Evalution.txt", "Evaluation.txt", "evaluation.txt"), READER.layout
    )
    judged = _evaluations(file)
    index, texts = sources.Index(source), sources.Index(source, (".txt",))
    tree = Tree([_row(name, each, file, index, texts) for name, each in judged.items()])
    _number_turns(tree.rows)
    tree.notes = [*_notes(judged, tree.rows, index), *index.notes()]
    return tree


def _evaluations(file: Path) -> dict[str, _Judged]:
    judged: dict[str, _Judged] = {}
    current: _Judged | None = None
    for number, raw in enumerate(sources.lines(file), start=1):
        line = raw.strip()
        if not line:
            current = None
        elif line.startswith("UTD-IMPROV"):
            name, current = _consensus(file, number, line)
            if name in judged:
                raise sources.malformed(file, number, line, f"each utterance once, it is in line {judged[name].line}")
            judged[name] = current
        else:
            _vote(file, number, line, current)
    return judged


def _consensus(file: Path, number: int, line: str) -> tuple[str, _Judged]:
    match = _CONSENSUS.fullmatch(line)
    if not match:
        raise sources.malformed(
            file, number, line, "UTD-IMPROV-....avi; letter; A:number; V:number; D:number; N:number;"
        )
    name = f"MSP-IMPROV-{match['id']}"
    if not _ID.fullmatch(name):
        raise sources.malformed(file, number, match["id"], "a name like S01A-F01-P-FM01")
    values = [None if value == "NaN" else float(value) for value in match.groups()[2:]]
    return name, _Judged(number, match["label"], dict(zip(_RATINGS, values, strict=True)))


def _vote(file: Path, number: int, line: str, current: _Judged | None) -> None:
    cells = [cell.strip() for cell in line.split(";")]
    if current is None or len(cells) < 3 or not cells[1]:
        raise sources.malformed(file, number, line, "an evaluator's vote below its utterance: who; emotion; ...")
    # Some evaluators stand there twice, word for word.
    current.votes.setdefault(cells[0], cells[1])


def _row(name: str, judged: _Judged, file: Path, index: sources.Index, texts: sources.Index) -> Row:
    match = _ID.fullmatch(name)
    assert match is not None
    session = f"S{match['session']}"
    transcript = sources.text(texts[name]).strip() if name in texts and texts[name].stat().st_size else None
    return {
        "utterance_id": name,
        "speaker": match["speaker"],
        "session": session,
        "gender": match["who"].lower(),
        # FM and MF are two takes, each with turns of its own.
        "dialogue": "-".join((match["sentence"], match["session"], match["scenario"], match["part"])),
        "turn": 2 * int(match["turn"]) + (match["who"] != match["part"][0]),
        "label_raw": judged.label,
        "votes": " ".join(f"{vote}:{times}" for vote, times in sorted(Counter(judged.votes.values()).items())) or None,
        "scenario": SCENARIOS[match["scenario"]],
        **judged.ratings,
        "transcript": transcript,
        "recording": index.get(
            name,
            file.parent / f"session{int(match['session'])}" / match["sentence"] / match["scenario"] / f"{name}.wav",
        ),
    }


def _number_turns(rows: list[Row]) -> None:
    """Turns of each dialogue from 0: the numbers of two speakers side by side, first whom the take names first."""
    taken: Counter[str] = Counter()
    for row in sorted(rows, key=lambda row: (row["dialogue"], row["turn"], row["utterance_id"])):
        row["turn"] = taken[row["dialogue"]]
        taken[row["dialogue"]] += 1


def _notes(judged: dict[str, _Judged], rows: list[Row], index: sources.Index) -> Iterator[str]:
    if odd := sum(_against_votes(each) for each in judged.values()):
        yield f"{sources.count(odd, 'consensus label')} not what most evaluators chose; the consensus is kept"
    if silent := sum(row["transcript"] is None for row in rows):
        yield f"{sources.count(silent, 'utterance')} without a transcript"
    strangers = [name for name in index if _ID.fullmatch(name) and name not in judged]
    if strangers:
        yield f"{sources.count(len(strangers), 'recording')} that nobody evaluated left aside"


def _against_votes(judged: _Judged) -> bool:
    """Whether the consensus is a class, but not the one that most evaluators chose."""
    votes = Counter(vote[:1].upper() for vote in judged.votes.values())
    return bool(votes) and judged.label not in "XO" and votes[judged.label] < max(votes.values())


_SESSIONS = tuple(f"S0{number}" for number in range(1, 7))
READER = Reader(
    name="msp_improv",
    title="MSP-IMPROV",
    citation="Busso et al. 2017",
    layout="MSP-IMPROV's Evalution.txt and the audio of session1 to session6",
    options=MspImprov,
    read=read,
    published=(
        Published(
            title="Other-improvised, 1 s or longer",
            source="Du et al. 2024, table 1; Sun et al. 2024, table 1",
            counts={"angry": 460, "happy": 999, "neutral": 1733, "sad": 627},
            where={"scenario": "Other-improvised"},
            groups={"session": _SESSIONS},
        ),
        Published(
            title="four classes, all scenarios, short ones too",
            source="Busso et al. 2017; the total is in Sun et al. 2024, section 3.1",
            counts={"angry": 792, "happy": 2644, "neutral": 3477, "sad": 885},
            groups={"session": _SESSIONS},
            short_too=True,
        ),
    ),
)
