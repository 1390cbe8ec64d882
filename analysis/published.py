"""Numbers of the paper, beside ours only where corpus, metric and test condition are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.run import METRICS, Run


class Published(NamedTuple):
    """A number a paper reports; shares in [0, 1].

    Attributes:
        condition: What was present at test.
        metric: One of `METRICS`.
        mean: The number.
        std: Its spread as the paper defines it; NaN where it gives none.
        source: Where it stands, and in what its protocol differs.
    """

    condition: str
    metric: str
    mean: float
    std: float
    source: str


#: What a row has that the paper has no number of.
NONE = Published("", "", np.nan, np.nan, "")


def on_corpus(run: Run, values: Iterable[Mapping[str, Any]] | None) -> list[Published]:
    """Those of a row's published numbers that are of this run's corpus."""
    corpus = _plain(run.provenance["corpus"].get("name", ""))
    return [_read(value) for value in values or () if _plain(value["corpus"]) == corpus and value["metric"] in METRICS]


def over(values: Sequence[Published], conditions: Sequence[str], metric: str = "uar") -> Published:
    """The published counterpart of a mean over conditions: the mean of the same ones, `NONE` if one is lacking."""
    found = [next((v for v in values if v.condition == name and v.metric == metric), None) for name in conditions]
    kept = [value for value in found if value]
    if not kept or len(kept) < len(found):
        return NONE
    if len(kept) == 1:
        return kept[0]
    sources = "; ".join(dict.fromkeys(value.source for value in kept))
    return Published("+".join(conditions), metric, float(np.mean([v.mean for v in kept])), np.nan, sources)


def of_row(run: Run, name: str | None) -> list[Published]:
    """Published numbers on this corpus of an ablation row, or of the full model (None)."""
    if name is None:
        return on_corpus(run, run.provenance.get("published"))
    return on_corpus(run, (run.provenance.get("ablation") or {}).get(name, {}).get("published"))


def _read(value: Mapping[str, Any]) -> Published:
    std = value.get("std")
    return Published(
        condition=str(value.get("condition", "audio")),
        metric=str(value["metric"]),
        mean=float(value["mean"]),
        std=np.nan if std is None else float(std),
        source=str(value["source"]),
    )


def _plain(name: Any) -> str:
    return "".join(letter for letter in str(name).lower() if letter.isalnum())
