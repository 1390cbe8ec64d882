"""Test speakers of the best arm as dots, the one recognised worst first."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import BLUE, MUTED, ORANGE, SURFACE, WIDE, Drawn, canvas, grid_on, look, shorten
from analysis.figures.tips import tip
from analysis.findings import Findings
from analysis.words import plural, with_spread

#: Speakers drawn one by one; of more, so many of the lowest and of the highest, and a histogram of all.
MOST, ENDS = 40, 12


class SpeakerDot(NamedTuple):
    """One speaker.

    Attributes:
        name: The speaker.
        uar: Mean over seeds, a share.
        seed_std: Spread over seeds; NaN with one.
        n: Utterances.
        whole: Whether the speaker has every class of the corpus.
    """

    name: str
    uar: float
    seed_std: float
    n: int
    whole: bool


def numbers(found: Findings) -> list[SpeakerDot]:
    """Every test speaker of the best arm, the lowest UAR first."""
    if found.speakers.empty:
        return []
    table = found.speakers.sort_values("uar", kind="stable")
    names = table.index.get_level_values("speaker").astype(str)
    whole = (table["classes"] == len(found.run.classes)).tolist()
    columns = (table[name].tolist() for name in ("uar", "uar_seed_std", "n"))
    return [SpeakerDot(*values) for values in zip(names, *columns, whole, strict=True)]


def speakers(found: Findings) -> Drawn | None:
    """Dots with the spread over seeds; with many speakers the two ends, and a histogram; nothing of one speaker."""
    dots, between = numbers(found), found.speaker_spread
    if between is None:
        return None
    few = len(dots) <= MOST
    shown: list[SpeakerDot | None] = [*dots] if few else [*dots[:ENDS], None, *dots[-ENDS:]]
    with look():
        figure = canvas(WIDE, 0.95 + 0.185 * len(shown))
        panels = figure.subplots(1, 1 if few else 2, width_ratios=[1] if few else [1.7, 1], squeeze=False)[0]
        _draw(panels[0], shown, between.mean)
        if not few:
            _histogram(panels[1], [dot.uar for dot in dots], between.mean)
        _legend(panels[0], shown)
    title = f"Test speakers of {found.name(found.best)}"
    return Drawn("speakers", title, _caption(found, dots, few=few), figure)


def _caption(found: Findings, dots: list[SpeakerDot], *, few: bool) -> str:
    text = "Test UAR of each speaker: mean over seeds (dot) ± spread over seeds (bar); n: utterances. "
    if any(not dot.whole for dot in dots):
        text += "Hollow: lacks a class, UAR over those there are. "
    text += "Line: mean over speakers."
    if not few:
        text += f" Left: the {ENDS} lowest and the {ENDS} highest of {plural(len(dots), 'speaker')}; right: all."
    return text + (f" UAR is the {found.over}." if found.several else "")


def _draw(axes: Axes, shown: list[SpeakerDot | None], mean: float) -> None:
    axes.axvline(100 * mean, color=ORANGE, linewidth=1.1, zorder=1)
    for place, dot in enumerate(shown):
        if dot is None:
            axes.axhline(place, color=MUTED, linewidth=0.8, linestyle=(0, (1, 3)), zorder=1)
            continue
        if not math.isnan(dot.seed_std):
            ends = [100 * (dot.uar - dot.seed_std), 100 * (dot.uar + dot.seed_std)]
            axes.plot(ends, [place, place], color=BLUE, linewidth=1.3, alpha=0.65, zorder=2)
        face = BLUE if dot.whole else SURFACE
        mark = axes.scatter(100 * dot.uar, place, s=22, facecolor=face, edgecolor=BLUE, linewidth=1.2, zorder=3)
        tip(mark, f"{dot.name}: {with_spread(dot.uar, dot.seed_std)} %, {dot.n:,} utterances")
        _beside(axes, place, f"{dot.n:,}")
    _beside(axes, -1, "n")
    axes.set_yticks(range(len(shown)), ["⋮" if dot is None else shorten(dot.name, 28) for dot in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlabel("Test UAR, %")
    grid_on(axes, "x")


def _beside(axes: Axes, place: int, text: str) -> None:
    axes.annotate(
        text, (1.0, place), xycoords=("axes fraction", "data"), xytext=(5, 0), textcoords="offset points",
        va="center", fontsize=6.5, color=MUTED, annotation_clip=False,
    )  # fmt: skip


def _histogram(axes: Axes, values: list[float], mean: float) -> None:
    axes.hist(100 * np.array(values), bins="sturges", color=BLUE, linewidth=0, alpha=0.85, zorder=2)
    axes.axvline(100 * mean, color=ORANGE, linewidth=1.1, zorder=3)
    axes.set_xlabel("Test UAR, %")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set_ylabel("Speakers")
    grid_on(axes, "y")


def _legend(axes: Axes, shown: list[SpeakerDot | None]) -> None:
    dots = [dot for dot in shown if dot is not None]
    bar = " ± spread over seeds" if any(not math.isnan(dot.seed_std) for dot in dots) else ""
    axes.scatter([], [], s=22, color=BLUE, label=f"speaker{bar}")
    if any(not dot.whole for dot in dots):
        axes.scatter([], [], s=22, facecolor=SURFACE, edgecolor=BLUE, linewidth=1.2, label="lacks a class")
    axes.plot([], [], color=ORANGE, linewidth=1.1, label="mean over speakers")
    axes.figure.legend(loc="outside upper left", ncols=3)
