"""How all figures look, and how one is saved.

Colours are those of Okabe and Ito, told apart by colour-blind readers. Ink, muted ink, grid and surface are
stand-ins that a page may replace (`themed`), so that one SVG serves light and dark.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from analysis.figures.fonts import families
from analysis.figures.tips import titled

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY, "#a08c00", "#7f7f80")
#: The same for points that are drawn as pixels, which follow no theme: to be read on light and on dark.
FIXED = ("#1f83c2", ORANGE, "#12a27b", PURPLE, RED, SKY, "#a08c00", "#7f7f80")
INK, MUTED, GRID, SURFACE = "#1b1b1d", "#6b6b6e", "#d9d9dc", "#fefefd"
#: Green and red for words, which need more contrast than marks do.
GOOD, BAD = "#00694d", "#a63c00"
_THEMED = {
    BLUE: "var(--blue)",
    GREEN: "var(--green)",
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    SURFACE: "var(--surface)",
    GOOD: "var(--good)",
    BAD: "var(--bad)",
}

#: Widths in inches: both columns of a two-column paper, and one.
WIDE, NARROW = 7.16, 3.5
DPI = 200
#: Files of every figure, by their ending.
FORMATS = ("png", "svg", "pdf")

_RC: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.facecolor": "none",
    "figure.facecolor": SURFACE,
    "savefig.facecolor": SURFACE,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    # Names come from outside: a dollar sign in one is a dollar sign.
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
}


class Drawn(NamedTuple):
    """A finished figure.

    Attributes:
        key: File name without ending.
        title: What it shows.
        caption: How to read it.
        figure: The drawing.
    """

    key: str
    title: str
    caption: str
    figure: Figure


@contextmanager
def look() -> Iterator[None]:
    """Everything drawn inside looks alike; nothing outside is touched."""
    with mpl.rc_context({**sns.axes_style("ticks"), **_RC, "font.family": families()}):
        yield


def canvas(width: float, height: float) -> Figure:
    """An empty figure that draws without a screen and that no global list keeps."""
    # Letters are wider at few dots an inch: laid out as fine as it is saved, nothing is cut off.
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def grid_on(axes: Axes, axis: str) -> None:
    """Grid lines along one axis only."""
    axes.grid(False)
    axes.grid(True, axis=axis)  # type: ignore[arg-type]


def ink_on(shade: Sequence[float]) -> str:
    """Black or white, whichever stands out from a shade: at least 4.5 to 1, as WCAG 2 asks of text."""
    return "#ffffff" if luminance(shade) < 0.179 else "#000000"


def luminance(colour: Sequence[float]) -> float:
    """Relative luminance of a colour (red, green, blue in [0, 1]) as WCAG 2 defines it; white is 1."""
    parts = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3])
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


def legend_above(figure: Figure, handles: Sequence[Artist], most: int = 4) -> None:
    """A legend over the panels, in as many columns as fit the figure's width."""
    longest = max((len(str(handle.get_label())) for handle in handles), default=0)
    # Inches that a letter, and a mark with the room around it, take.
    fitting = int(figure.get_figwidth() / (0.062 * longest + 0.5))
    figure.legend(handles=handles, loc="outside upper left", ncols=min(max(fitting, 1), most))


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Plain numbers along a log axis: at the powers of ten, and between them where there are few."""
    axis.set_major_locator(LogLocator(subs=(1,) if high / low > 300 else (1, 3) if high / low > 15 else (1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(NullFormatter())


def shorten(text: str, most: int = 44) -> str:
    """A name that fits beside an axis: one line, cut in the middle where it is too long."""
    text = " ".join(str(text).split())
    if len(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[:half].rstrip()}…{text[-half:].lstrip()}"


def wrap(text: str, width: int = 30, lines: int = 3) -> str:
    """A name over a few short lines."""
    words, rows = " ".join(str(text).split()).split(" "), [""]
    for word in words:
        joined = f"{rows[-1]} {word}".strip()
        if len(joined) <= width or not rows[-1]:
            rows[-1] = shorten(joined, width)
        else:
            rows.append(shorten(word, width))
    if len(rows) > lines:
        rows = [*rows[: lines - 1], shorten(" ".join(rows[lines - 1 :]), width)]
    return "\n".join(rows)


def svg(drawn: Drawn) -> str:
    """The figure as SVG text without comments, the same bytes for the same figure."""
    buffer = io.StringIO()
    _write(drawn, buffer, "svg", {"Date": None, "Creator": None})
    return titled(re.sub(r"<!--.*?-->\s*", "", buffer.getvalue(), flags=re.DOTALL))


def save(drawn: Drawn, folder: Path) -> str:
    """Write ``KEY.png``, ``KEY.svg`` and ``KEY.pdf`` into a folder; returns the SVG text."""
    folder.mkdir(parents=True, exist_ok=True)
    text = svg(drawn)
    if "svg" in FORMATS:
        (folder / f"{drawn.key}.svg").write_text(text, encoding="utf-8")
    if "png" in FORMATS:
        _write(drawn, folder / f"{drawn.key}.png", "png", {"Software": None})
    if "pdf" in FORMATS:
        _write(drawn, folder / f"{drawn.key}.pdf", "pdf", {"CreationDate": None, "Creator": None, "Producer": None})
    return text


def _write(drawn: Drawn, place: Path | io.StringIO, kind: str, metadata: dict[str, None]) -> None:
    settle(drawn.figure)
    # Letters are outlines in SVG and embedded TrueType in PDF, as journals ask for: no reader lacks the font.
    with _quietly(), mpl.rc_context({"svg.hashsalt": drawn.key, "svg.fonttype": "path", "pdf.fonttype": 42}):
        drawn.figure.savefig(place, format=kind, dpi=DPI, metadata=metadata)


def settle(figure: Figure) -> None:
    """Lay a figure out once and for all: every file of it looks the same, and none pays for it again."""
    layout = figure.get_layout_engine()
    if layout is not None:
        with _quietly():
            layout.execute(figure)
        # Not "none", whose stand-in has each file drawn twice.
        figure.set_layout_engine(None)


@contextmanager
def _quietly() -> Iterator[None]:
    """A name in a script that the font lacks is drawn as boxes; the tables beside have it right."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font", category=UserWarning)
        yield


def themed(text: str, key: str) -> str:
    """An SVG to stand inside a page: ink and grid follow the page's colours, ids are the figure's own.

    Args:
        text: From `svg`.
        key: Put before every id, so that several figures may stand in one page.
    """
    text = text[text.index("<svg") :]
    for colour, variable in _THEMED.items():
        text = text.replace(colour, variable)
    for names in (' id="', 'xlink:href="#', "url(#"):
        text = text.replace(names, f"{names}{key}-")
    return re.sub(
        r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", re.sub(r'(<svg [^>]*?)height="[^"]*"', r"\1", text, count=1), count=1
    )
