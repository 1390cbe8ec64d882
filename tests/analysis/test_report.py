from __future__ import annotations

import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import fake_run
import pytest

from analysis import report
from analysis.errors import ReportError
from analysis.findings import Findings
from analysis.run import load

HOSTILE = "</p><script>alert('x')</script> \"q\" & {{ 7 * 7 }}"


class _Page(HTMLParser):
    """Tags that are opened and closed as they should be, the text between them, and what is loaded from outside."""

    VOID = ("meta", "path", "use", "image", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.tags, self.ids, self.links, self.outside = "", set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "xlink:href", "src"):
                (self.links if value.startswith("#") else self.outside).append(value)
            assert not name.startswith("on")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(path: Path) -> _Page:
    page = _Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert all(link.startswith("data:image/png;base64,") for link in page.outside)
    assert "script" not in page.tags
    return page


@pytest.fixture(scope="module")
def page(folder, tmp_path_factory) -> _Page:
    return _read(report.write([folder], tmp_path_factory.mktemp("report")))


def test_the_page_stands_alone_and_answers_first(page, run):
    found = Findings(run)
    assert page.text.index(f"The best arm is {found.name(found.best)}") < page.text.index("Best arms on dev")
    for heading in ("Ablation", "Sensitivity", "What the best arm confuses", "What the stages made", "The search"):
        assert heading in page.text
    for line in ("leave-one-session-out", "audio_gemaps47", "ab" * 16, "1 h 2 min", "reduction factor 3"):
        assert line in page.text
    assert "nan" not in page.text.split()


def test_figures_come_before_tables_within_a_section(page):
    order = [page.text.index(text) for text in ("What each component is worth", "p (Holm)", "one parameter at a time")]
    assert order == sorted(order)


def test_search_arms_show_no_test_numbers(folder, tmp_path, run):
    """Changing every test number of the arms not chosen changes nothing on the page."""
    found = Findings(run)
    hidden = set(run.trials["arm"][run.trials["kind"] == "search"]) - {found.best}
    copy = Path(shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("report")))
    table = _pandas(copy / "folds.parquet")
    rows = table["arm"].isin(hidden) & (table["split"] == "test")
    assert rows.any()
    table.loc[rows, ["uar", "war", "wf1", "macro_f1"]] = 0.99
    table.to_parquet(copy / "folds.parquet", index=False)
    before, after = (report.write([path], tmp_path / name) for path, name in ((folder, "a"), (copy, "b")))
    assert before.read_text() == after.read_text()


def _pandas(path: Path):
    import pandas as pd

    return pd.read_parquet(path)


def test_the_default_place_is_the_run_and_files_stand_beside(folder, tmp_path):
    copy = Path(shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("report")))
    assert report.write([copy]) == copy / "report" / "index.html"
    names = {path.relative_to(copy / "report").as_posix() for path in (copy / "report").rglob("*.*")}
    assert {"index.html", "tables/ablation.csv", "tables/ablation.tex", "figures/tsne.png", "figures/tsne.svg"} <= names
    assert not [name for name in names if name.endswith(".part")]
    first = (copy / "report" / "index.html").read_text()
    assert report.write([str(copy)], str(copy / "report")).read_text() == first


def test_a_bare_unfinished_run_lacks_sections_and_says_it_is_not_finished(bare_folder, tmp_path):
    page = _read(report.write([bare_folder], tmp_path))
    assert "The run is not finished" in page.text
    assert "The best arm so far" in page.text
    for heading in ("Ablation", "Sensitivity", "What the stages made", "What stopping early saved"):
        assert heading not in page.text


def test_a_run_in_which_every_arm_failed_still_gives_a_page(tmp_path):
    plan = fake_run.Plan(search=3, stopped=0, failed=2, flagged=0, ablation={}, control={}, sensitivity={})
    path = fake_run.write(tmp_path / "run", plan)
    table = _pandas(path / "trials.parquet").assign(status="failed", is_best=False, is_reference=False, score=None)
    table.to_parquet(path / "trials.parquet", index=False)
    for name in ("folds", "curves"):
        _pandas(path / f"{name}.parquet").drop(columns="terms", errors="ignore").iloc[:0].to_parquet(
            path / f"{name}.parquet", index=False
        )
    page = _read(report.write([path]))
    assert "No arm ran to its end: 4 arms begun, 4 failed." in page.text
    assert "Failed arms" in page.text


def test_a_class_name_that_no_folder_would_hold(tmp_path):
    plan = fake_run.Plan(
        name=HOSTILE,
        classes=("<b>", "$x$", "a&b", "x" * 200),
        ablation={HOSTILE: -0.05},
        corpus=HOSTILE,
        warnings=(HOSTILE,),
    )
    page = _read(report.write([fake_run.write(tmp_path / "run", plan)]))
    assert page.text.count(HOSTILE) >= 4
    assert "49" not in page.text.split(HOSTILE)[0][-5:]


def test_rows_that_became_no_arm_are_named(run, folder, tmp_path):
    copy = Path(shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("report")))
    provenance = json.loads((copy / "provenance.json").read_text())
    provenance["ablation"]["Without what is not there"] = {"claim": "", "control": False, "published": []}
    (copy / "provenance.json").write_text(json.dumps(provenance))
    assert "equal to another arm): Without what is not there." in _read(report.write([copy])).text


def test_runs_side_by_side(folder, bare_folder, tmp_path):
    other = fake_run.write(tmp_path / "other", fake_run.Plan(name="planted", base=0.70, seed=0))
    path = report.write([folder, other, bare_folder], tmp_path / "out")
    page = _read(path)
    assert page.text.index("Runs side by side") < page.text.index("Before you quote")
    assert {"planted-1", "planted-2", "bare"} <= set(page.ids)
    assert (tmp_path / "out" / "tables" / "comparison.csv").exists()
    assert (tmp_path / "out" / "figures" / "planted-2" / "best_arms.png").exists()
    rows = report.comparison([Findings(load(p)) for p in (folder, other, bare_folder)]).frame
    assert rows["verdict"].tolist() == ["", "better", "not comparable: other corpus, folds or classes"]
    assert rows["difference"].iloc[1] == pytest.approx(0.10, abs=0.01)


def test_several_runs_are_written_beside_the_first_by_default(folder, tmp_path):
    paths = [fake_run.write(tmp_path / name, fake_run.Plan(name=name, search=2, stopped=0)) for name in ("a", "b")]
    assert report.write(paths) == tmp_path / "report" / "index.html"


def test_what_cannot_be_written_is_said(folder, tmp_path):
    with pytest.raises(ReportError, match="no run was given"):
        report.write([])
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="is a file"):
        report.write([folder], tmp_path / "file")


def test_the_summary_is_json_and_agrees_with_the_page(folder, run, page):
    summary = json.loads(json.dumps(report.summary(folder), allow_nan=False))
    found = Findings(run)
    assert summary["best"]["arm"] == found.best
    assert summary["best"]["test"]["uar"] == pytest.approx(found.number(found.best, "uar"))
    assert summary["paper_defaults"]["kind"] == "reference"
    assert summary["arms"] == {"done": 18, "stopped": 5, "failed": 1}
    assert summary["chosen_from"] == 7
    assert summary["epochs"]["saved"] == 45
    assert [row["verdict"] for row in summary["ablation"]] == [one.verdict for one in found.ablation]
    assert all(sentence in page.text for sentence in summary["headline"])
    assert all(caution in page.text for caution in summary["cautions"])


def test_the_summary_of_nothing(run):
    nothing = replace(run, trials=run.trials.assign(status="failed", is_best=False), folds=run.folds.iloc[:0])
    summary = report.summary(nothing)
    assert summary["best"] is None
    assert summary["paper_defaults"] is None
    json.dumps(summary, allow_nan=False)
