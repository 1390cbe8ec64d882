"""The corpora that can be read: one hand-written dictionary. A new reader is one module and one line here."""

from __future__ import annotations

from importlib import import_module

from trainables.corpora.reader import Reader
from trainables.errors import InputError

KINDS: dict[str, str] = {
    "ami": "trainables.corpora.ami",
    "audformat": "trainables.corpora.audformat",
    "csv": "trainables.corpora.table",
    "emodb": "trainables.corpora.emodb",
    "iemocap": "trainables.corpora.iemocap",
    "meld": "trainables.corpora.meld",
    "msp_improv": "trainables.corpora.msp_improv",
    "msp_podcast": "trainables.corpora.msp_podcast",
    "ravdess": "trainables.corpora.ravdess",
}


def get(kind: str) -> Reader:
    """The reader of that name.

    Raises:
        InputError: If there is none.
    """
    if kind not in KINDS:
        raise InputError(f"kind: there is no reader {kind!r}; there is {', '.join(KINDS)}")
    reader: Reader = import_module(KINDS[kind]).READER
    return reader
