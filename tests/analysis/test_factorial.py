from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import fake_run
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.regression.linear_model import OLS

from analysis import compare, evidence_tables, factorial
from analysis.figures import arms
from analysis.findings import Findings
from analysis.run import load

CHANGES = {"A": {"align.alpha": 0.0}, "B": {"generate.width": 0}, "C": {"generate.depth": 9}}


def _write(path, worth: dict[str, float], changes=CHANGES, **study):
    """A run whose ablation rows change what `changes` says; ``A + B`` changes what both do."""
    plan = fake_run.Plan(
        ablation={row: -loss for row, loss in worth.items()},
        control={},
        sensitivity={},
        stop_ablation=False,
        study=study,
    )
    fake_run.write(path, plan)
    trials = pd.read_parquet(path / "trials.parquet")
    parent = json.loads(trials.loc[trials["is_best"], "config"].iloc[0])
    for index, trial in trials[trials["kind"] == "ablation"].iterrows():
        config = json.loads(json.dumps(parent))
        for row in trial["name"].split(" + "):
            for field, value in changes[row].items():
                section, key = field.split(".")
                config[section][key] = value
        trials.loc[index, "config"] = json.dumps(config)
    trials.to_parquet(path / "trials.parquet", index=False)
    provenance = json.loads((path / "provenance.json").read_text())
    provenance["ablation"] = {
        row: {"claim": "", "control": False, "published": [], "change": changes[row]} for row in changes if row in worth
    }
    (path / "provenance.json").write_text(json.dumps(provenance))
    return load(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A and B stand in for each other: without the one the other is worth 7 points, with it only 2; C nothing."""
    worth = {"A": 0.02, "B": 0.02, "A + B": 0.09, "C": 0.0, "A + C": 0.02, "B + C": 0.02, "A + B + C": 0.09}
    return _write(tmp_path_factory.mktemp("runs") / "factorial", worth)


def test_what_was_planted_is_found(run):
    found = Findings(run)
    assert found.design is not None
    assert found.design.factors == ("A", "B", "C")
    effects = {one.factors: one for one in found.effects}
    assert len(effects) == 7
    # Main effect: the mean of 2 points with the other there and 7 without it; interaction: 2 minus 7.
    assert effects[("A",)].estimate.difference == pytest.approx(0.045, abs=0.012)
    assert effects[("A", "B")].estimate.difference == pytest.approx(-0.05, abs=0.02)
    assert effects[("C",)].estimate.difference == pytest.approx(0.0, abs=0.012)
    assert effects[("A",)].verdict == compare.HELPS
    assert effects[("A", "B")].verdict == factorial.INSTEAD
    assert effects[("C",)].verdict == effects[("B", "C")].verdict == compare.NO_EVIDENCE
    table = evidence_tables.factorial(found)
    assert [cells[0] for cells in table.cells()][:4] == ["A", "B", "C", "A × B"]
    assert len(arms.factorial(found).figure.axes[0].get_yticklabels()) == 7


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_effects_are_those_of_a_regression_on_coded_factors(count, seed):
    """OLS with factors coded -1 and +1: the effect of k components is 2^k coefficients."""
    names = "ABCD"[:count]
    states = list(product([True, False], repeat=count))  # True: the component is there
    cells = [frozenset(n for n, there in zip(names, state, strict=True) if not there) for state in states]
    values = np.random.default_rng(seed).normal(size=(len(cells), 1, 1))
    for size in range(1, count + 1):
        factors = tuple(names[:size])
        coded = {frozenset(some): np.array([np.prod([1 if s[names.index(n)] else -1 for n in some]) for s in states])
                 for some in _subsets(names)}  # fmt: skip
        keys = list(coded)
        fitted = OLS(values.ravel(), np.column_stack([coded[key] for key in keys])).fit()
        expected = 2**size * fitted.params[keys.index(frozenset(factors))]
        assert factorial._contrast(values, cells, factors).item() == pytest.approx(expected, abs=1e-9)


def _subsets(names):
    return [[n for n, on in zip(names, bits, strict=True) if on] for bits in product([0, 1], repeat=len(names))]


def test_without_every_combination_there_is_no_design(tmp_path):
    assert Findings(_write(tmp_path / "two", {"A": 0.02, "B": 0.02})).design is None
    one = Findings(_write(tmp_path / "some", {"A": 0.02, "B": 0.02, "C": 0.01, "A + C": 0.04}))
    assert one.design.factors == ("A", "C")
    assert evidence_tables.factorial(Findings(_write(tmp_path / "none", {"A": 0.02}))) is None


def test_a_study_says_which_design(tmp_path):
    worth = {"A": 0.02, "B": 0.02, "C": 0.01, "A + C": 0.04, "A + B": 0.03}
    asked = _write(tmp_path / "asked", worth, ablation={"factorial": ["A", "B"]})
    assert Findings(asked).design.factors == ("A", "B")
    # Asked for and not there yet: no other one is shown in its place.
    assert Findings(_write(tmp_path / "lacking", worth, ablation={"factorial": ["B", "C"]})).design is None


def test_runs_of_before_changes_were_recorded_have_none(run, tmp_path):
    for row in (old := json.loads(json.dumps(run.provenance)))["ablation"].values():
        row.pop("change")
    assert Findings(replace(run, provenance=old)).design is None
