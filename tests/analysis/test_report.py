from __future__ import annotations

import base64
import hashlib
import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import fake_run
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import report
from analysis.errors import ReportError
from analysis.figures import figures
from analysis.findings import Findings
from analysis.run import load
from analysis.tables import tables


class _Page(HTMLParser):
    """Tags that are opened and closed as they should be, the text between them, and what is loaded from outside."""

    VOID = ("meta", "path", "use", "image", "br")

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.tags, self.ids, self.links, self.outside = "", [], [], [], []
        self.policy, self.scripts = "", []
        self.feed(path.read_text(encoding="utf-8"))
        self.missing = [one for one in self.outside if not (path.parent / one).is_file()]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if ("http-equiv", "Content-Security-Policy") in attrs:
            self.policy = dict(attrs)["content"]
        for name, value in attrs:
            if name == "id":
                self.ids.append(value)
            if name in ("href", "xlink:href", "src") and not value.startswith("data:image/png;base64,"):
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
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        else:
            self.text += data


def _read(path: Path) -> _Page:
    """A page that is whole, loads nothing, and runs exactly the one script that its policy names by its hash."""
    page = _Page(path)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert page.missing == []
    assert page.tags.count("script") == 1
    assert page.tags.index("meta") < page.tags.index("style") < page.tags.index("script")
    (script,) = page.scripts
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in page.policy
    assert page.policy.startswith("default-src 'none'; ")
    return page


@pytest.fixture(scope="module")
def page(written) -> _Page:
    return _read(written)


@pytest.fixture(scope="module")
def elsewhere(folder, run, tmp_path_factory) -> Path:
    """A copy of the full run, reported on, in which every test number of the arms not chosen is another."""
    hidden = set(run.trials["arm"][run.trials["kind"] == "search"]) - {Findings(run).best}
    copy = tmp_path_factory.mktemp("elsewhere") / "copy"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("report"))
    for name in ("folds", "speakers"):
        table = pd.read_parquet(copy / f"{name}.parquet")
        rows = table["arm"].isin(hidden) & (table.get("split", "test") == "test")
        assert rows.any()
        table.loc[rows, table.columns.intersection(["uar", "war", "wf1", "macro_f1"])] = 0.99
        table["confusion"] = [c[::-1] if mine else c for c, mine in zip(table["confusion"], rows, strict=True)]
        table.to_parquet(copy / f"{name}.parquet", index=False)
    assert report.write([str(copy)]) == copy / "report" / "index.html"
    return copy / "report"


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


def test_every_figure_and_table_stands_on_the_page(page, run):
    drawn, made = figures(found := Findings(run)), tables(found)
    for one in [*drawn, *made]:
        assert one.title in page.text
    assert (page.tags.count("figure"), page.tags.count("table")) == (len(drawn), len(made))


def test_search_arms_show_no_test_numbers(elsewhere, written):
    """Other test numbers of the arms not chosen change nothing on the page nor in its numbers."""
    assert (elsewhere / "index.html").read_text() == written.read_text()
    numbers, before = (json.loads((folder / "report.json").read_text()) for folder in (elsewhere, written.parent))
    assert numbers["runs"][0].pop("path") != before["runs"][0].pop("path")
    assert numbers == before


def test_the_default_place_is_the_run_and_files_stand_beside(elsewhere):
    names = {path.relative_to(elsewhere).as_posix() for path in elsewhere.rglob("*.*")}
    assert {"index.html", "report.json", "tables/ablation.csv", "tables/ablation.tex", "figures/tsne.svg"} <= names
    assert not [name for name in names if name.endswith(".part")]


def test_a_bare_unfinished_run_lacks_sections_and_says_it_is_not_finished(bare_folder, tmp_path):
    page = _read(report.write([bare_folder], tmp_path))
    assert "The run is not finished" in page.text
    assert "The best arm so far" in page.text
    for heading in ("Ablation", "Sensitivity", "What the stages made", "What stopping early saved"):
        assert heading not in page.text


def test_a_run_in_which_every_arm_failed_still_gives_a_page(tmp_path):
    plan = fake_run.Plan(search=3, stopped=0, failed=2, flagged=0, ablation={}, control={}, sensitivity={})
    path = fake_run.write(tmp_path / "run", plan)
    table = pd.read_parquet(path / "trials.parquet").assign(
        status="failed", is_best=False, is_reference=False, score=None
    )
    table.to_parquet(path / "trials.parquet", index=False)
    for name in ("folds", "curves"):
        pd.read_parquet(path / f"{name}.parquet").drop(columns="terms", errors="ignore").iloc[:0].to_parquet(
            path / f"{name}.parquet", index=False
        )
    page = _read(report.write([path]))
    assert "No arm ran to its end: 4 arms begun, 4 failed." in page.text
    assert "Failed arms" in page.text


def test_hostile_names_stay_text(hostile):
    page = _read(hostile)
    assert page.text.count(fake_run.HOSTILE) >= 4
    assert "49" not in page.text.split(fake_run.HOSTILE)[0][-5:]
    assert "equal to another arm): Without what is not there." in page.text


def test_runs_side_by_side(beside):
    out = beside.parent
    assert out.name == "report"
    paths = [out.parent / name for name in ("a", "b", "c")]
    page = _read(beside)
    assert page.text.index("Runs side by side") < page.text.index("The best arm is")
    assert {"same-1", "same-2", "other-one"} <= set(page.ids)
    assert (out / "tables" / "comparison.csv").exists()
    assert (out / "figures" / "same-2" / "best_arms.svg").exists()
    rows = report.comparison([Findings(load(path)) for path in paths]).frame
    assert rows["verdict"].tolist() == ["", "better", "not comparable: other corpus, folds or classes"]
    assert rows["difference"].iloc[1] == pytest.approx(0.10, abs=0.02)
    numbers = json.loads((out / "report.json").read_text())
    assert [one["run"] for one in numbers["runs"]] == ["same", "same", "Other one!"]
    assert numbers["comparison"]["comparison"]["records"][1]["difference"] == pytest.approx(rows["difference"].iloc[1])


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


def test_a_run_in_which_every_arm_failed_has_a_page(bare_folder, tmp_path, undrawn):
    """Before its first finished epoch: no fold, no curve, nothing but the reasons."""
    run = shutil.copytree(bare_folder, tmp_path / "failed")
    for path in run.glob("*.parquet"):
        table = pd.read_parquet(path)
        if path.stem == "trials":
            table = table.assign(status="failed", reason=fake_run.REASONS["failed"], is_best=False)
            table["score"] = table["score"].astype("float64") * float("nan")
        else:
            table = table.iloc[:0]
        pq.write_table(pa.Table.from_pandas(table, schema=pq.read_schema(path), preserve_index=False), path)
    page = _Page(report.write([run]))
    assert fake_run.REASONS["failed"] in page.text
