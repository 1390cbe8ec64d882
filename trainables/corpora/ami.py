"""AMI meetings (Carletta et al. 2005), unlabeled: crops around three words, after Liang et al. 2020, section 4.2.

Three words that follow each other in one segment of one person are drawn at random; the middle of the middle one is the
middle of the crop, whose width is fixed: 7.2 s beside IEMOCAP, 3.5 s beside MELD. The paper does not say whose words a
crop's transcript holds, whether crops may overlap, or what is done where a crop leaves the recording. Here: the words
of that person inside the crop; they may; and such a crop is not drawn.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import numpy as np
from pydantic import Field

from trainables.corpora import audio, sources
from trainables.corpora.reader import Options, Published, Reader, Row, Tree
from trainables.errors import InputError

_NITE = "{http://nite.sourceforge.net/}"
_RANGE = re.compile(r"#id\((?P<first>[^)]+)\)(?:\.\.id\((?P<last>[^)]+)\))?$")
#: Liang et al. 2020: 20,000 crops.
_CROPS = 20_000


class Ami(Options):
    """Options of the reader."""

    seconds: float = Field(7.2, gt=0)
    """Width of a crop: 7.2 s beside IEMOCAP, 3.5 s beside MELD."""
    crops: int = Field(_CROPS, ge=1)
    """How many to draw, at most."""
    seed: int = Field(0, ge=0)
    """Of the drawing."""
    audio: Literal["headset", "lapel", "mix"] = "headset"
    """Whose microphone: the person's own headset or lapel, or the mix of all headsets."""


@dataclass(frozen=True)
class _Word:
    """A word of the transcription; punctuation has no place in a crop's three words.

    ``place`` counts all that stands in the file, laughs and gaps too: ends of a segment may be such.
    """

    name: str
    place: int
    text: str
    start: float
    end: float
    punctuation: bool

    @property
    def middle(self) -> float:
        return (self.start + self.end) / 2


@dataclass(frozen=True)
class _Voice:
    """One person in one meeting."""

    meeting: str
    agent: str
    person: str
    channel: str
    gender: str | None


@dataclass(frozen=True)
class _Speech:
    """All that one person says in one meeting: words in their order, and the place of everything that has a name."""

    voice: _Voice
    recording: Path
    words: list[_Word]
    places: dict[str, int]


@dataclass(frozen=True)
class _Crop:
    speech: _Speech
    middle: _Word


def read(source: Path, options: Ami) -> Tree:
    """Crops drawn from all meetings whose audio is there.

    Raises:
        InputError: If there are no words, no list of meetings or no audio, or an XML file cannot be read.
    """
    words = _words_folder(sources.folder(source, READER.layout))
    voices = _voices(sources.find(source, ("meetings.xml", "corpusResources/meetings.xml"), READER.layout))
    index = sources.Index(source)
    tree = Tree()
    files = [path for path in sorted(words.glob("*.words.xml")) if not sources.hidden(path.name)]
    heard = [(path, voice, index[name]) for path, voice, name in _named(files, voices, options) if name in index]
    if not heard:
        raise InputError(f"{source}: holds no {options.audio} recording of a meeting; download the audio beside words/")
    if absent := len({path.name.split(".")[0] for path in files} - {voice.meeting for _, voice, _ in heard}):
        tree.notes.append(f"{sources.count(absent, 'meeting')} without {options.audio} audio not drawn from")
    lengths = _lengths([recording for _, _, recording in heard])
    crops: list[_Crop] = []
    lost = 0
    for path, voice, recording in heard:
        speech = _speech(path, voice, recording)
        segments = list(_segments(path, speech))
        lost += segments.count(None)
        crops += _crops(speech, [each for each in segments if each], lengths[recording], options.seconds)
    if lost:
        tree.notes.append(f"{sources.count(lost, 'segment')} of words that are not there left aside")
    if not crops:
        raise InputError(
            f"{source}: no three words of a segment are the middle of {options.seconds:g} s of audio; set seconds lower"
        )
    tree.rows = _drawn(crops, options)
    if len(tree.rows) < options.crops:
        tree.notes.append(f"only {sources.count(len(tree.rows), 'crop')} of {options.seconds:g} s can be drawn")
    tree.notes += index.notes()
    return tree


def _words_folder(source: Path) -> Path:
    for depth in range(4):
        for found in sorted(source.glob("*/" * depth + "words")):
            if any(found.glob("*.words.xml")):
                return found
    raise InputError(f"{source}: holds no folder words with *.words.xml; give the folder that holds {READER.layout}")


def _parse(path: Path) -> ElementTree.Element:
    try:
        return ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise InputError(f"{path}: line {error.position[0]}: is no XML ({error.msg}); copy it again") from None
    except LookupError as error:
        raise InputError(f"{path}: line 1: is no XML ({error}); copy it again") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None


def _voices(path: Path) -> dict[tuple[str, str], _Voice]:
    """Who speaks in each meeting, by meeting and letter."""
    voices = {}
    for meeting in _parse(path).iter("meeting"):
        name = meeting.get("observation", "")
        for speaker in meeting.iter("speaker"):
            agent, person = speaker.get(f"{_NITE}agent") or speaker.get("nxt_agent"), speaker.get("global_name")
            if not name or not agent or not person:
                raise InputError(
                    f"{path}: meeting {name or '?'}: a speaker lacks nxt_agent or global_name; copy it again"
                )
            gender = {"M": "m", "F": "f"}.get(person[0])
            voices[name, agent] = _Voice(name, agent, person, speaker.get("channel", ""), gender)
    return voices


def _named(
    files: list[Path], voices: dict[tuple[str, str], _Voice], options: Ami
) -> Iterator[tuple[Path, _Voice, str]]:
    """The file of words of each voice, and the name of its recording."""
    for path in files:
        meeting, agent = path.name.split(".")[:2]
        voice = voices.get((meeting, agent))
        if voice is None:
            raise InputError(f"{path}: meetings.xml knows no speaker {agent} of meeting {meeting}; copy both again")
        if options.audio == "mix":
            yield path, voice, f"{meeting}.Mix-Headset"
        else:
            yield path, voice, f"{meeting}.{options.audio.title()}-{voice.channel}"


def _lengths(paths: list[Path]) -> dict[Path, float]:
    """Seconds of each file; without end where it cannot be read, which is answered when it is looked at whole."""
    wanted = list(dict.fromkeys(paths))
    with ThreadPoolExecutor(8) as pool:
        return {path: length or np.inf for path, length in zip(wanted, pool.map(audio.seconds, wanted), strict=True)}


def _crops(speech: _Speech, segments: list[tuple[int, int]], length: float, seconds: float) -> Iterator[_Crop]:
    places = [word.place for word in speech.words]
    for first, last in segments:
        inside = speech.words[bisect_left(places, first) : bisect_right(places, last)]
        spoken = [word for word in inside if not word.punctuation]
        for middle in spoken[1:-1]:
            if middle.middle - seconds / 2 >= 0 and middle.middle + seconds / 2 <= length:
                yield _Crop(speech, middle)


def _speech(path: Path, voice: _Voice, recording: Path) -> _Speech:
    """Words that have a time; laughs, gaps and false starts are none."""
    speech = _Speech(voice, recording, [], {})
    for place, element in enumerate(_parse(path)):
        name, start, end = element.get(f"{_NITE}id", ""), element.get("starttime"), element.get("endtime")
        speech.places[name] = place
        text = (element.text or "").strip()
        if element.tag != "w" or not start or not end or not text:
            continue
        try:
            word = _Word(name, place, text, float(start), float(end), element.get("punc") == "true")
        except ValueError:
            raise InputError(
                f"{path}: word {name}: found {start!r} to {end!r}, expected seconds; copy it again"
            ) from None
        speech.words.append(word)
    return speech


def _segments(path: Path, speech: _Speech) -> Iterator[tuple[int, int] | None]:
    """Places of the first and last element of each segment; None where they are not in the file of words."""
    if not speech.words:
        return
    file = path.parent.parent / "segments" / path.name.replace(".words.", ".segments.")
    if not file.is_file():
        raise InputError(f"{file}: is not there; copy the folder segments beside words")
    for element in _parse(file).iter(f"{_NITE}child"):
        match = _RANGE.search(element.get("href", ""))
        if not match:
            raise InputError(f"{file}: href {element.get('href')!r} names no words; copy it again")
        first, last = (speech.places.get(name) for name in (match["first"], match["last"] or match["first"]))
        yield None if first is None or last is None else (first, last)


def _drawn(crops: list[_Crop], options: Ami) -> list[Row]:
    chosen = np.random.default_rng(options.seed).permutation(len(crops))[: options.crops]
    rows = [_row(crops[place], options.seconds) for place in sorted(chosen)]
    taken: Counter[str] = Counter()
    for row in sorted(rows, key=lambda row: (row["dialogue"], row["start"], row["utterance_id"])):
        row["turn"] = taken[row["dialogue"]]
        taken[row["dialogue"]] += 1
    return rows


def _row(crop: _Crop, seconds: float) -> Row:
    start, end = crop.middle.middle - seconds / 2, crop.middle.middle + seconds / 2
    voice = crop.speech.voice
    return {
        "utterance_id": crop.middle.name,
        "speaker": voice.person,
        "session": voice.meeting.rstrip("abcdefg"),
        "gender": voice.gender,
        "dialogue": voice.meeting,
        "label_raw": None,
        "transcript": _text(_between(crop, start, end)),
        "recording": crop.speech.recording,
        "start": round(start, 6),
        "end": round(end, 6),
        "channel": None,
    }


def _between(crop: _Crop, start: float, end: float) -> list[_Word]:
    """The words whose middle lies in the crop; they stand in the order of their time around its own."""
    words = crop.speech.words
    place = bisect_left(words, crop.middle.place, key=lambda word: word.place)
    first, last = place, place
    while first > 0 and words[first - 1].middle >= start:
        first -= 1
    while last + 1 < len(words) and words[last + 1].middle <= end:
        last += 1
    return words[first : last + 1]


def _text(words: list[_Word]) -> str:
    return "".join(word.text if word.punctuation else f" {word.text}" for word in words).strip()


READER = Reader(
    name="ami",
    title="AMI",
    citation="Carletta et al. 2005",
    layout="AMI's words/, segments/, corpusResources/meetings.xml and the audio of meetings",
    options=Ami,
    read=read,
    published=(
        Published(
            title="crops",
            source="Liang et al. 2020, section 4.2",
            counts={"ami": _CROPS},
            column="corpus",
        ),
    ),
)
