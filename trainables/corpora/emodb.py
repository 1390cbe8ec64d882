"""EmoDB, the Berlin database of emotional speech (Burkhardt et al. 2005): file names say all there is."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import Field

from trainables.corpora import sources
from trainables.corpora.reader import Options, Published, Reader, Tree
from trainables.errors import InputError

_NAME = re.compile(r"(?P<speaker>\d\d)(?P<sentence>[ab]\d\d)(?P<emotion>[WLEAFTN])(?P<version>[a-z])")
_WOMEN = ("08", "09", "13", "14", "16")
_SENTENCES = {
    "a01": "Der Lappen liegt auf dem Eisschrank.",
    "a02": "Das will sie am Mittwoch abgeben.",
    "a04": "Heute abend könnte ich es ihm sagen.",
    "a05": "Das schwarze Stück Papier befindet sich da oben neben dem Holzstück.",
    "a07": "In sieben Stunden wird es soweit sein.",
    "b01": "Was sind denn das für Tüten, die da unter dem Tisch stehen?",
    "b02": "Sie haben es gerade hochgetragen und jetzt gehen sie wieder runter.",
    "b03": "An den Wochenenden bin ich jetzt immer nach Hause gefahren und habe Agnes besucht.",
    "b09": "Ich will das eben wegbringen und dann mit Karl was trinken gehen.",
    "b10": "Die wird auf dem Platz sein, wo wir sie immer hinlegen.",
}


class EmoDB(Options):
    """Options of the reader."""

    classes: dict[str, str] = Field(
        {
            "W": "angry",
            "L": "boredom",
            "E": "disgust",
            "A": "fear",
            "F": "happy",
            "T": "sad",
            "N": "neutral",
        }
    )
    """Class of each letter of a file's name; a letter that is not named here gets none."""


def read(source: Path, options: EmoDB) -> Tree:
    """One utterance a file. Each speaker is a session, each sentence a dialogue, since its text repeats.

    Raises:
        InputError: If there is no file of such a name.
    """
    index = sources.Index(sources.folder(source, READER.layout))
    named = {stem: match for stem in index if (match := _NAME.fullmatch(stem))}
    if not named:
        raise InputError(f"{source}: holds no recording called like 03a01Fa.wav; give the folder that holds wav/")
    tree = Tree()
    for stem, match in named.items():
        speaker, sentence = match["speaker"], match["sentence"]
        tree.rows.append(
            {
                "utterance_id": stem,
                "speaker": speaker,
                "session": speaker,
                "gender": "f" if speaker in _WOMEN else "m",
                "dialogue": sentence,
                "turn": 0,
                "label_raw": match["emotion"],
                "transcript": _SENTENCES.get(sentence),
                "recording": index[stem],
            }
        )
    if strange := len(index) - len(named):
        tree.notes.append(f"{sources.count(strange, 'audio file')} with other names left aside")
    tree.notes += index.notes()
    return tree


READER = Reader(
    name="emodb",
    title="EmoDB",
    citation="Burkhardt et al. 2005",
    layout="EmoDB's wav/ with files such as 03a01Fa.wav",
    options=EmoDB,
    read=read,
    published=(
        Published(
            title="all of it",
            source="the corpus as distributed, 535 files",
            counts={
                "angry": 127,
                "boredom": 81,
                "disgust": 46,
                "fear": 69,
                "happy": 71,
                "neutral": 79,
                "sad": 62,
            },
            groups={"speaker": ("03", "08", "09", "10", "11", "12", "13", "14", "15", "16")},
        ),
    ),
)
