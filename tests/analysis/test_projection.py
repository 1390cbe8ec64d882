from __future__ import annotations

from dataclasses import replace

import fake_run
import numpy as np
import pytest

from analysis import projection
from analysis.figures import projection as drawing
from analysis.findings import Findings
from analysis.run import load


@pytest.fixture(autouse=True)
def _coarse(monkeypatch):
    """Few steps: what is tested is not how well t-SNE separates what."""
    monkeypatch.setattr(projection, "STEPS", 250)


def _project(run, arm=None, seed=0):
    return projection.project(run, arm or Findings(run).best, np.random.default_rng(seed))


def test_the_projection_keeps_kinds_and_labels_and_repeats(run):
    (one,), (again,) = (_project(run, seed=3) for _ in range(2))
    assert one.points.shape == (320, 2)
    assert np.isfinite(one.points).all()
    np.testing.assert_array_equal(one.points, again.points)
    assert one.order == ["real", "generated"]
    # Classes were planted far apart: every point's nearest neighbour is of its own class.
    gaps = np.linalg.norm(one.points[:, None] - one.points[None], axis=-1) + np.diag(np.full(320, np.inf))
    assert (one.labels[gaps.argmin(axis=1)] == one.labels).mean() > 0.95


def test_many_vectors_are_thinned_and_broken_ones_left_out(run, monkeypatch):
    monkeypatch.setattr(projection, "MOST", 30)
    (one,) = _project(run)
    assert [(one.kinds == kind).sum() for kind in ("real", "generated")] == [30, 30]
    real = run.embeddings["kind"] == "real"
    vectors = [np.full(16, np.nan) if bad else v for bad, v in zip(real, run.embeddings["vector"], strict=True)]
    assert _project(replace(run, embeddings=run.embeddings.assign(vector=vectors))) == []


def test_kinds_of_other_sizes_are_no_picture(run):
    vectors = [v[:8] if kind == "real" else v for kind, v in run.embeddings[["kind", "vector"]].to_numpy()]
    assert _project(replace(run, embeddings=run.embeddings.assign(vector=vectors))) == []


def test_one_kind_alone_is_no_picture(run):
    real = replace(run, embeddings=run.embeddings[run.embeddings["kind"] == "real"])
    assert _project(real) == []
    assert _project(run, "nobody") == []


def test_kinds_with_a_prefix_make_a_figure_each(several):
    audio, text = _project(several)
    assert (audio.figure, audio.order) == ("audio", ["true", "recovered"])
    assert (text.figure, text.order) == ("text", ["true", "recovered"])
    assert len(audio.points) == len(text.points) == 320


def test_vectors_without_a_label_stay(run):
    unlabeled = run.embeddings.assign(label=None)
    (one,) = _project(replace(run, embeddings=unlabeled))
    assert set(one.labels) == {""}
    assert drawing.projections(Findings(replace(run, embeddings=unlabeled)))


def test_the_best_arm_is_shown_and_one_ablation_row_that_kept_its_vectors(tmp_path):
    plan = fake_run.several(compared=fake_run.USELESS)
    found = Findings(load(fake_run.write(tmp_path / "run", plan)))
    assert [found.name(one.arm) for one in found.projections][::2] == [found.name(found.best), fake_run.USELESS]
    drawn = drawing.projections(found)
    keys = ["tsne_audio", "tsne_text", "tsne_audio_compared", "tsne_text_compared"]
    assert [one.key for one in drawn] == keys
    assert drawn[0].title == "Audio: true and recovered features"
    assert drawn[2].title.endswith(f", {fake_run.USELESS}")


@pytest.mark.parametrize(("kinds", "rows", "columns"), [(2, 1, 3), (3, 2, 2), (4, 2, 3), (6, 3, 3)])
def test_every_kind_has_a_panel(tmp_path, kinds, rows, columns):
    assert drawing.layout(kinds) == (rows, columns)
    names = ("public audio", "public text", "unique audio", "unique text", "fifth", "sixth")[:kinds]
    plan = fake_run.Plan(search=0, ablation={}, control={}, sensitivity={}, kinds=dict.fromkeys(names, 1.0))
    (drawn,) = drawing.projections(Findings(load(fake_run.write(tmp_path / "run", plan))))
    titles = [axes.get_title(loc="left") for axes in drawn.figure.axes if axes.get_visible()]
    assert sorted(titles) == sorted(["Both" if kinds == 2 else "All", *(name[0].upper() + name[1:] for name in names)])
    assert drawn.key == "tsne"
