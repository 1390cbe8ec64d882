from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import fake_run
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import files, tables
from analysis.findings import Findings
from analysis.run import load


@pytest.fixture(scope="module")
def made(run):
    return {table.key: table for table in tables.tables(Findings(run))}


def test_every_table_of_a_full_run_is_there(made):
    assert set(made) == {
        *("best_arms", "ablation", "stage_gains", "sensitivity", "folds", "recalls"),
        *("recalls_by_arm", "diagnostics"),
        *("robust", "surrogate", "rungs", "optimism", "evidence", "spread"),
        *("speakers", "failed", "flagged"),
    }
    for table in made.values():
        assert table.cells()
        assert all(len(cells) == len(table.columns) for cells in table.cells())


def test_a_bare_run_lacks_what_it_has_nothing_for(bare_folder):
    keys = [table.key for table in tables.tables(Findings(load(bare_folder)))]
    assert keys == ["best_arms", "spread", "stage_gains", "folds", "recalls", "speakers"]


def test_test_numbers_stand_only_beside_arms_chosen_on_dev(found, made):
    frame = made["best_arms"].frame
    shown = frame[frame["test_uar"].notna()]
    assert set(shown["arm"]) == {found.best, found.paper}
    assert frame["dev_uar"].notna().all()
    assert frame["dev_score"].is_monotonic_decreasing


def test_the_papers_defaults_are_listed_however_far_down(tmp_path):
    plan = fake_run.Plan(search=20, stopped=0, failed=0, flagged=0, base=0.5)
    run = load(fake_run.write(tmp_path / "run", plan))
    low = run.trials["score"].mask(run.trials["kind"] == "reference", 0.1)
    table = tables.best_arms(Findings(replace(run, trials=run.trials.assign(score=low))))
    assert len(table.frame) == tables.TOP + 1
    assert table.frame["kind"].iloc[-1] == "reference"


def test_settings_that_all_arms_have_are_said_once(run):
    changed = [{**c, "align.epochs": 5} for c in run.trials["changed"]]
    found = Findings(replace(run, trials=run.trials.assign(changed=pd.Series(changed, index=run.trials.index))))
    table = tables.best_arms(found)
    assert table.note.endswith("beside what all of them have: align.epochs = 5.")
    assert not table.frame["changed"].str.contains("align.epochs").any()
    assert (table.frame["changed_in_all"] == "align.epochs = 5").all()
    assert table.frame.set_index("kind").loc["reference", "changed"] == "nothing changed"
    assert found.paper_label == "the study's own settings"
    assert Findings(run).paper_label == "the paper's defaults"


def test_long_text_is_set_over_lines(made):
    assert r"\begin{tabular}{lrl}" not in files.latex(made["diagnostics"])
    assert r"{lrp{0.3\linewidth}}" in files.latex(made["diagnostics"])


def test_published_values_stand_beside_for_this_corpus_and_condition_only(run, made):
    ablation = made["ablation"]
    assert "Published UAR, %" in [column.heading for column in ablation.columns]
    row = ablation.frame.set_index("row").loc[fake_run.USEFUL]
    assert (row["published_uar"], row["published_std"]) == (0.6231, 0.0365)
    assert "Ahn et al. 2025, table 3" in ablation.note
    corpus = {**run.provenance["corpus"], "name": "emodb"}
    other = tables.ablation(Findings(replace(run, provenance={**run.provenance, "corpus": corpus})))
    assert "Published UAR, %" not in [column.heading for column in other.columns]
    folds = run.folds.assign(condition="audio+text")
    assert tables.ablation(Findings(replace(run, folds=folds))).frame["published_uar"].isna().all()


def test_controls_come_last_and_are_marked(made):
    cells = [row[0] for row in made["ablation"].cells()]
    assert cells[0].startswith("Reference (")
    assert cells[-1] == "Real features twice (no generation) †"
    assert sum("†" in cell for cell in cells) == 1


def test_latex_needs_no_letters_beyond_ascii_of_its_own(made):
    """What LaTeX's usual fonts lack stops it; names in other scripts are the reader's own."""
    for table in made.values():
        assert files.latex(table).isascii(), table.key
    assert files.latex_escape("0.3 ≤ R² → …") == r"0.3 $\leq$ R$^2$ $\rightarrow$ \dots{}"


def test_csv_holds_the_numbers_as_they_are(made, tmp_path):
    for table in made.values():
        files.write(files.latex(table), files.csv(table), tmp_path / table.key)
        read = pd.read_csv(tmp_path / f"{table.key}.csv")
        numeric = table.frame.select_dtypes("number")
        pd.testing.assert_frame_equal(read[numeric.columns], numeric, check_dtype=False, rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a & b", r"a \& b"),
        ("100 %", r"100 \%"),
        ("$x_1^2$", r"\$x\_1\textasciicircum{}2\$"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("#~|<>", r"\#\textasciitilde{}\textbar{}\textless{}\textgreater{}"),
        ("60.3 ± 2.5", r"60.3 $\pm$ 2.5"),
        ("−1.2", "$-$1.2"),
        ("—", "--"),
        ("a--b---c", "a-{}-b-{}-{}-c"),
        ("cross-modal", "cross-modal"),
        ("two\nlines", "two lines"),
    ],
)
def test_latex_escapes(text, expected):
    assert files.latex_escape(text) == expected


@given(st.text())
def test_no_special_letter_survives_unescaped(text):
    escaped = files.latex_escape(text)
    # Take away every escape we write; what is left holds nothing that TeX would act on.
    signs = r"\\pm|-|\\dagger|\\times|\\leq|\\geq|\\rightarrow|\^2"
    rest = re.sub(rf"\\text[a-z]+\{{\}}|\\char34\{{\}}|\\dots\{{\}}|\\[&%$#_{{}}]|\$({signs})\$|-\{{\}}", "", escaped)
    assert not set(rest) & set('\\&%$#_{}~^<>|"\n')


def test_latex_is_a_booktabs_table_with_its_rows(made):
    text = files.latex(made["ablation"])
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    columns = len(made["ablation"].columns)
    assert len(rows) == 1 + len(made["ablation"].frame)
    assert all(len(re.findall(r"(?<!\\)&", row)) == columns - 1 for row in rows)
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert text.count("{") == text.count("}")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(made, tmp_path):
    body = "\n".join(files.latex(table) for table in made.values())
    source = "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
    (tmp_path / "all.tex").write_text(f"{source}{body}\\end{{document}}", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
