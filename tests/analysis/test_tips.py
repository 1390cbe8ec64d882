from __future__ import annotations

import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from analysis.figures import tips

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*texts: str, limits: tuple[float, float] = (-1, 10)) -> str:
    figure = Figure()
    axes = figure.add_subplot(xlim=limits, ylim=(0, 1))
    tips.tip(axes.scatter(np.arange(len(texts)), np.full(len(texts), 0.5)), texts)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    return tips.titled(buffer.getvalue())


def titles(svg: str, inside: str) -> list[str]:
    return [title.text for one in ET.fromstring(svg).iter(f"{SVG}{inside}") for title in one.findall(f"{SVG}title")]


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1), min_size=2, max_size=5))
def test_every_point_has_its_own_title_whatever_it_says(texts):
    assert titles(drawn(*texts), "use") == texts


def test_points_stand_in_the_order_of_their_titles():
    root = ET.fromstring(drawn("a", "b", "c"))
    points = [(float(one.get("x")), one[0].text) for one in root.iter(f"{SVG}use") if len(one)]
    assert [text for _, text in sorted(points)] == ["a", "b", "c"]


def test_a_group_has_one_title_and_spaces_are_plain():
    figure = Figure()
    (line,) = figure.add_subplot().plot([1, 2])
    tips.tip(line, "one\n line\x07 & <b>")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    svg = tips.titled(buffer.getvalue())
    assert titles(svg, "g") == ["one line & <b>"]
    assert "tip:" not in svg


def test_points_that_are_not_drawn_leave_all_without_titles():
    figure = Figure()
    axes = figure.add_subplot()
    tips.tip(axes.scatter([0, np.nan, 1], [0, 0, 0]), ["a", "b", "c"])
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg")
    assert titles(tips.titled(buffer.getvalue()), "use") == []


def test_too_many_points_have_no_titles():
    assert "tip:" not in drawn(*map(str, range(tips.MOST + 1)))
    assert len(titles(drawn(*map(str, range(tips.MOST))), "use")) == tips.MOST


def test_a_group_that_does_not_end():
    with pytest.raises(ValueError, match="does not end"):
        tips.titled('<g id="tip:a"><g></g>')
