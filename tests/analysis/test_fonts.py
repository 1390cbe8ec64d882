from __future__ import annotations

import re

import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager

from analysis.figures import fonts, style
from analysis.figures.style import Drawn, canvas, look


@pytest.mark.parametrize("weight", ["normal", "bold"])
def test_the_cut_font_is_found_and_holds_what_names_and_numbers_need(weight):
    path = font_manager.findfont(font_manager.FontProperties(family=fonts.families(), weight=weight))
    letters = set(TTFont(path)["cmap"].getBestCmap())
    assert {ord(letter) for letter in "aZ0±−–—†×αβλτµéßñžЖ…→≥“”"} <= letters


def test_a_pdf_embeds_truetype_and_is_the_same_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "FORMATS", ("pdf",))
    files = []
    for place in ("a", "b"):
        with look():
            figure = canvas(style.NARROW, 1)
            figure.add_subplot(title="Größe ± λ")
        style.save(Drawn("x", "", "", figure), tmp_path / place)
        files.append((tmp_path / place / "x.pdf").read_bytes())
    assert files[0] == files[1]
    assert b"/FontFile2" in files[0]
    assert b"/Type3" not in files[0]
    width = float(re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", files[0])[1])
    assert width == pytest.approx(72 * style.NARROW)
