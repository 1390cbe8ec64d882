"""Test texts that are known from train because a corpus repeats what is said: scripts, target sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from trainables.corpus import Corpus
from trainables.folds import Fold

#: Share of test texts known from train from which on it is worth a warning. Transcripts shorter than WORDS are left
#: out: a "yeah" recurs in any talk.
REPEATED, WORDS = 0.1, 4
#: The same where only text vectors tell texts apart, short ones too: a tenth of free talk recurs (10 % of IEMOCAP's
#: improvised part, 11 % of MSP-IMPROV's natural one), against 30 % and 60 % of what is scripted or read.
REPEATED_VECTORS = 0.15


class Known(NamedTuple):
    """Test utterances with a text that also occurs in the labeled train part of their fold.

    Attributes:
        by: What tells texts apart, ``transcript`` or ``vector``.
        known: How many have such a text, over all folds.
        of: Of how many.
        fold: The fold with the greatest share.
        worst: That share.
    """

    by: str
    known: int
    of: int
    fold: str
    worst: float

    @property
    def share(self) -> float:
        """Share over all folds."""
        return self.known / self.of

    @property
    def many(self) -> bool:
        """Whether it is worth a warning."""
        return self.share >= _limit(self.by)


class _Texts(NamedTuple):
    """Number of each utterance's text, shape (N,); whether it counts, shape (N,); and what tells texts apart."""

    number: np.ndarray
    counts: np.ndarray
    by: str


def known_texts(corpus: Corpus, folds: Sequence[Fold], kept: np.ndarray | None = None) -> Known | None:
    """Count test utterances that say what a labeled train utterance of their fold says.

    Transcripts are compared without case and punctuation; where there are none, text vectors are, bit by bit.

    Args:
        corpus: The corpus.
        folds: Its folds.
        kept: Use only these utterances, shape (N,), bool; all when None.

    Returns:
        None where no test utterance has a text that could be compared.
    """
    texts = _texts(corpus)
    return _known(texts, folds, kept) if texts else None


def warnings(
    corpus: Corpus, folds: Sequence[Fold], kinds: Callable[[], Mapping[str, np.ndarray]] = dict
) -> Iterator[str]:
    """The warning, if there is reason for one.

    Args:
        corpus: The corpus.
        folds: Its folds.
        kinds: Gives columns by which a part of the corpus can be used alone, see `corpus_rows.kinds`; asked only where
            a remedy is looked for.
    """
    texts = _texts(corpus)
    found = _known(texts, folds) if texts else None
    if texts is None or found is None or not found.many:
        return
    what = "the text vector" if found.by == "vector" else f"the words ({WORDS} or more)"
    worst = f"; {found.worst:.0%} in {found.fold}" if len(folds) > 1 else ""
    yield (
        f"KNOWN TEXTS: {found.known:,} of {found.of:,} test utterances ({found.share:.0%}{worst}) have {what} of an "
        "utterance of their train part: results there do not speak for new sentences"
        f"{_remedy(corpus, texts, folds, kinds())}"
    )


def _limit(by: str) -> float:
    return REPEATED if by == "transcript" else REPEATED_VECTORS


def _texts(corpus: Corpus) -> _Texts | None:
    if "transcript" in corpus.utterances and corpus.utterances["transcript"].notna().any():
        said = corpus.utterances["transcript"].fillna("").astype("str").str.casefold()
        words = said.str.replace(r"[^\w\s]+", " ", regex=True).str.split()
        return _Texts(pd.factorize(words.str.join(" "))[0], (words.map(len) >= WORDS).to_numpy(bool), "transcript")
    if "text" in corpus.features:
        vectors = np.ascontiguousarray(corpus.features["text"])
        rows = vectors.view(np.dtype((np.void, vectors.strides[0]))).ravel()
        return _Texts(np.unique(rows, return_inverse=True)[1], corpus.present["text"], "vector")
    return None


def _known(texts: _Texts, folds: Sequence[Fold], kept: np.ndarray | None = None) -> Known | None:
    tested = list(_tested(texts, folds, kept))
    of, known = (np.array([get(seen) for _, seen in tested]) for get in (len, np.sum))
    if not of.any():
        return None
    shares = known / np.maximum(of, 1)
    worst = int(np.argmax(shares))
    return Known(texts.by, int(known.sum()), int(of.sum()), folds[worst].name, float(shares[worst]))


def _tested(
    texts: _Texts, folds: Sequence[Fold], kept: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The test utterances of each fold that count, and which of their texts its train part has."""
    used = np.ones(len(texts.number), dtype=bool) if kept is None else kept
    for fold in folds:
        test = fold.test[(texts.counts & used)[fold.test]]
        there = np.zeros(texts.number.max() + 1, dtype=bool)
        there[texts.number[fold.train[used[fold.train]]]] = True
        yield test, there[texts.number[test]]


def _remedy(corpus: Corpus, texts: _Texts, folds: Sequence[Fold], kinds: Mapping[str, np.ndarray]) -> str:
    """The part of the corpus with fewest known texts, a third of it or more, as a ``where``; "" if none has few."""
    tested, seen = (np.concatenate(each) for each in zip(*_tested(texts, folds), strict=True))
    best, text, labeled = 1.0, "", corpus.labels >= 0
    for name, values in kinds.items():
        shares = pd.Series(seen).groupby(values[tested]).mean()
        wanted = list(shares.index[shares < _limit(texts.by)])
        kept = np.isin(values, wanted)
        left = corpus.labels[kept & labeled]
        enough = len(left) >= labeled.sum() / 3 and len(set(left)) == len(corpus.classes)
        rest = _known(texts, folds, kept) if enough else None
        if rest and not rest.many and rest.share < best:
            chosen = wanted[0] if len(wanted) == 1 else f"[{', '.join(wanted)}]"
            text = (
                f"; where: {{{name}: {chosen}}} keeps {len(left):,} of {labeled.sum():,} labeled utterances and leaves "
                f"{rest.share:.0%}"
            )
            best = rest.share
    return text
