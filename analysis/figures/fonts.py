"""The font of the figures: DejaVu Sans, cut down to what figures use.

Embedding a font means cutting it down to the letters used, figure by figure. Most of that time goes into tables that
no figure needs (ligatures, Arabic shaping, mathematics); without them a PDF takes a quarter of the time.
"""

from __future__ import annotations

import logging
import tempfile
from functools import cache
from pathlib import Path

from fontTools import subset
from matplotlib import font_manager

#: Latin, Greek and Cyrillic letters, punctuation, arrows and mathematical signs, shapes.
_KEPT = (range(0x20, 0x530), range(0x2000, 0x2300), range(0x25A0, 0x2700))
_UNUSED = ["GSUB", "GPOS", "GDEF", "MATH", "kern", "FFTM"]
_NAME = "DejaVu Sans cut"


@cache
def families() -> list[str]:
    """Font families for figures, the first with every letter that is common, the second with all others."""
    for weight in ("normal", "bold"):
        font_manager.fontManager.addfont(_cut(weight))
    return [_NAME, "DejaVu Sans"]


def _cut(weight: str) -> Path:
    """The path of a cut-down font, there until the process ends."""
    source = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight))
    options = subset.Options(layout_features=[], name_IDs=["*"])
    options.drop_tables += _UNUSED
    logging.getLogger("fontTools.subset").setLevel(logging.WARNING)
    with subset.load_font(source, options) as font:
        for record in font["name"].names:
            if record.nameID in (1, 16):  # family, and family as typesetters group it
                record.string = _NAME
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=[letter for span in _KEPT for letter in span])
        cutter.subset(font)
        path = Path(_folder().name) / f"{weight}.ttf"
        subset.save_font(font, str(path), options)
    return path


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="sweeper-fonts-")
