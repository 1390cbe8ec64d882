from __future__ import annotations

import fake_run
import numpy as np
import pytest

from analysis.figures import features, style
from analysis.findings import Findings
from analysis.run import load

NAMES = ("angry", "happy", "neutral", "sad", "fearful", "disgusted", "surprised", "contemptuous", "frustrated", "other")
THREE = {"audio": -0.08, "text": -0.03, "audio+text": 0.04}
ONLY_SEARCH = {"ablation": {}, "control": {}, "sensitivity": {}, "stopped": 0, "failed": 0, "flagged": 0, "search": 1}


@pytest.fixture(scope="module", params=[(4, 1), (4, 3), (10, 1), (10, 3)], ids=str)
def found(request, tmp_path_factory) -> Findings:
    classes, many = request.param
    conditions = dict(list(THREE.items())[-many:])
    plan = fake_run.Plan(
        classes=NAMES[:classes], conditions=conditions, per_class=400, folds=3, diagnostics=False, embeddings=False,
        **ONLY_SEARCH,
    )  # fmt: skip
    return Findings(load(fake_run.write(tmp_path_factory.mktemp("runs") / "run", plan)))


@pytest.fixture(scope="module")
def figure(found):
    made = features.confusion(found).figure
    style.settle(made)
    return made


def test_every_condition_and_cell_is_there(found, figure):
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == len(found.confusions)
    for axes, counts in zip(shown, found.confusions.values(), strict=True):
        texts = [text.get_text() for text in axes.texts]
        percent, means = features.row_percent(counts), counts / 3
        expected = [text for p, m in zip(percent.flat, means.flat, strict=True) for text in (f"{p:.0f} %", f"{m:,.0f}")]
        assert texts == expected
        assert {text.get_text() for text in axes.get_yticklabels()} <= {*found.run.classes, ""}


def test_what_is_written_stays_within_its_cell(figure):
    renderer = figure.canvas.get_renderer()
    for axes in figure.axes:
        for text in axes.texts if axes.get_visible() else ():
            column = int(text.get_position()[0])
            ends = axes.transData.transform([(column, 0), (column + 1, 0)])[:, 0]
            box = text.get_window_extent(renderer)
            assert ends[0] <= box.x0
            assert box.x1 <= ends[1]


def test_it_fits_a_paper(figure):
    assert figure.get_figwidth() in (style.NARROW, style.WIDE)
    assert figure.get_figheight() < 9
    box = figure.get_tightbbox()
    assert box.x0 >= -0.01
    assert box.x1 <= figure.get_figwidth() + 0.01


def test_ink_stands_out_from_every_shade():
    """At least 4.5 to 1, as WCAG 2 asks of text."""
    axes = style.canvas(1, 1).add_subplot()
    for percent in np.linspace(0, 100, 101):
        features._cell(axes, 0, 0, percent, 1.0, 0.5)
        ink, shade = (
            style.luminance(colour) for colour in (_rgb(axes.texts[-1].get_color()), features._SHADES(percent / 100))
        )
        assert (max(ink, shade) + 0.05) / (min(ink, shade) + 0.05) >= 4.5


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
