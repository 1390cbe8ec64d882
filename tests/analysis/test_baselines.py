from __future__ import annotations

import fake_run
import pytest

from analysis import by_arm, by_condition, report, statistics, tables
from analysis.figures import arms
from analysis.findings import Findings
from analysis.run import load
from analysis.words import headline

WEAK, LEVEL, STRONG = "linear", "concat_mlp", "big_net"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    plan = fake_run.several(baselines={WEAK: -0.08, LEVEL: 0.0, STRONG: 0.08}, embeddings=False)
    return fake_run.write(tmp_path_factory.mktemp("runs") / "baselines", plan)


@pytest.fixture
def planted(path) -> Findings:
    return Findings(load(path))


def test_the_verdict_is_on_the_study_s_own_arm(planted):
    table = tables.baselines(planted)
    verdicts = dict(zip(table.frame["row"], table.frame["verdict"], strict=True))
    assert verdicts[WEAK] == "better"
    assert verdicts[STRONG] == "worse"
    assert verdicts[LEVEL] not in verdicts[WEAK] + verdicts[STRONG]
    row = table.frame.set_index("row").loc[WEAK]
    assert row["difference"] == pytest.approx(planted.number(planted.best, "uar") - row["uar"])
    assert planted.name(planted.baseline_parent) in table.note


def test_baselines_are_never_chosen_and_are_a_family_of_their_own(planted):
    assert planted.run.arm(planted.best)["kind"] != "baseline"
    assert not {WEAK, LEVEL, STRONG} & set(planted.top["name"])
    assert not {WEAK, LEVEL, STRONG} & {one.name for one in planted.ablation}
    p = [one.estimate.p for one in planted.baselines]
    assert [one.p_holm for one in planted.baselines] == pytest.approx(statistics.holm(p).tolist())


def test_they_stand_in_the_tables_of_arms_but_measure_nothing_of_the_method(planted):
    for table in (by_condition.scores(planted), by_arm.recalls(planted), by_condition.worth(planted)):
        assert f"{WEAK} (baseline)" in set(table.frame["row"])
    assert f"{WEAK} (baseline)" not in set(by_arm.diagnostics(planted).frame["row"])


def test_the_figure_and_the_headline_say_the_same(planted):
    lines = arms.forest_numbers(planted, planted.baselines)
    assert [line.name for line in lines] == [WEAK, LEVEL, STRONG]
    texts = {text.get_text() for text in arms.baselines(planted).figure.axes[0].texts}
    assert {"better", "worse"} <= texts
    assert headline(planted)[-1].startswith("Against baselines on the same folds")
    assert f"points from {WEAK} (better)" in headline(planted)[-1]


def test_the_page_and_the_summary_have_them(path, tmp_path, undrawn):
    text = report.write([path], tmp_path).read_text()
    assert 'class="good">better' in text
    assert 'class="bad">worse' in text
    assert [row["row"] for row in report.summary(path)["baselines"]] == [WEAK, LEVEL, STRONG]


def test_without_baselines_there_is_nothing(found):
    assert tables.baselines(found) is None
    assert arms.baselines(found) is None
    assert found.baseline_parent is None
