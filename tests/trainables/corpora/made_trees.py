"""Small trees in the layout of each corpus as it is distributed, with recordings that are noise."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000


def wav(path: Path, seconds: float = 0.25, *, rate: int = RATE, channels: int = 1) -> Path:
    """Noise that depends on the file's name, so that no two files are equal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(list(path.name.encode())).normal(0, 0.1, (round(seconds * rate), channels))
    soundfile.write(path, noise, rate)
    return path


def text(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def csv_file(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    def cell(value: object) -> str:
        shown = str(value)
        return '"' + shown.replace('"', '""') + '"' if any(each in shown for each in ',"\n') else shown

    return text(path, *(",".join(map(cell, row)) for row in (names, *rows)))


def iemocap_dialogue(
    root: Path, dialogue: str, turns: Iterable[tuple[str, float, float, str]], *, audio: bool = True
) -> Path:
    """One dialogue's label file, and a recording each; turns are (end of the name, start, end, category)."""
    session = root / f"Session{int(dialogue[3:5])}"
    lines = ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
    for name, start, end, category in turns:
        lines += [
            f"[{start:.4f} - {end:.4f}]\t{dialogue}_{name}\t{category}\t[2.5000, 3.0000, 3.5000]",
            "C-E2:\tNeutral;\t()",
            "C-E3:\tFrustration; Anger;\t(can hardly tell)",
            "A-E3:\tval 3; act 2; dom  2;\t()",
            "A-F1:\tval 3; act 3; dom  ;\t()",
            "",
        ]
        path = session / "sentences" / "wav" / dialogue / f"{dialogue}_{name}.wav"
        if audio:
            wav(path, 0.2)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
    return text(session / "dialog" / "EmoEvaluation" / f"{dialogue}.txt", *lines)


def improv_lines(name: str, label: str, votes: Mapping[str, str], ratings: str = "") -> list[str]:
    """An utterance of MSP-IMPROV's evaluation file, ``name`` such as S01A-F01-S-FM01."""
    ratings = ratings or "A:2.400000; V:2.800000; D:NaN ; N:3.200000;"
    who = [
        f"{rater}; {vote}; {vote},Excited; A:3.000000; V:3.000000; D:3.000000; N:4.000000;"
        for rater, vote in votes.items()
    ]
    return [f"UTD-IMPROV-{name}.avi; {label}; {ratings}", *who, ""]


def improv_wav(root: Path, name: str, seconds: float = 1.2) -> Path:
    sentence, speaker, scenario, _ = name.split("-")
    folder = root / "Audio" / f"session{int(speaker[1:])}" / sentence / scenario
    return wav(folder / f"MSP-IMPROV-{name}.wav", seconds)


AMI_NITE = 'xmlns:nite="http://nite.sourceforge.net/"'


def ami_xml(path: Path, *elements: str) -> Path:
    head = '<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>'
    return text(
        path, head, f'<nite:root nite:id="{path.stem}" {AMI_NITE}>', *elements, "</nite:root>", encoding="latin-1"
    )


def ami_word(voice: str, number: int, start: float, end: float, content: str, extra: str = "") -> str:
    times = f'starttime="{start:.2f}" endtime="{end:.2f}"'
    return f'<w nite:id="{voice}.words{number}" {times}{extra}>{content}</w>'


def ami_segment(voice: str, number: int, first: int, last: int) -> str:
    ids = [f"id({voice}.words{each})" for each in (first, last)]
    href = f"{voice}.words.xml#{ids[0]}" + (f"..{ids[1]}" if last != first else "")
    return (
        f'<segment nite:id="{voice}.segs{number}" channel="0" transcriber_start="0" transcriber_end="9">'
        f'<nite:child href="{href}"/></segment>'
    )
