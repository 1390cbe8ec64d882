import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import made_corpus
import made_run
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import analysis
import sweeper
from sweeper import cli, study
from sweeper.runner import Outcome
from trainables.errors import InputError

ROOT = Path(__file__).parents[2]
COMMANDS = ("plan", "run", "resume", "status", "report", "export", "train", "predict", "list", "data")


def call(*arguments):
    """Run a command in this process."""
    return CliRunner(env={"COLUMNS": "200", "TERM": "dumb"}).invoke(cli.app, [str(each) for each in arguments])


def said(result):
    """What stands on stderr, as one line."""
    return " ".join(result.stderr.split())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.yaml"
    corpus = made_corpus.make(tmp_path / "toy")
    path.write_text(
        f"name: s\ncorpus: {corpus}\nmethod: mi_infogan\nprotocol: {{kind: leave-one-session-out}}\n"
        f"search: {{trials: 3}}\nstorage: {tmp_path / 'runs'}\n",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def fakes(monkeypatch, tmp_path):
    """The engine and the report replaced by notes of how they were called."""
    calls = SimpleNamespace(runs=[], reports=[], outcome={}, fail=None)

    def run(asked, *, address=None):
        if calls.fail:
            raise calls.fail
        calls.runs.append((asked, address))
        return Outcome(run=asked.run_folder, **{"done": 3, "stopped": 1, "failed": 0} | calls.outcome)

    def write(runs, out):
        calls.reports.append((list(runs), out))
        return Path("report/index.html")

    for package, name, fake in (
        (sweeper, "runner", SimpleNamespace(run=run)),
        (analysis, "report", SimpleNamespace(write=write)),
    ):
        monkeypatch.setitem(sys.modules, f"{package.__name__}.{name}", fake)
        monkeypatch.setattr(package, name, fake, raising=False)
    return calls


def test_help_names_every_command_and_loads_nothing_heavy():
    code = (
        "import sys; sys.argv = ['sweeper', '--help']\n"
        "from sweeper.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "heavy = {'torch', 'ray', 'pandas', 'numpy', 'pyarrow', 'pydantic', 'matplotlib'} & set(sys.modules)\n"
        "print('heavy:', *sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.rstrip().endswith("heavy:")
    assert [name for name in COMMANDS if f" {name} " not in done.stdout] == []


@pytest.mark.parametrize(
    "command", [(name,) for name in COMMANDS if name != "data"] + [("data", "check"), ("data", "synth")]
)
def test_the_help_of_every_command_shows_how_it_is_called(command):
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert f"sweeper {' '.join(command)} " in result.stdout.replace("Usage: ", "")
    assert "Example" in result.stdout


def test_python_m_sweeper_is_the_command():
    done = subprocess.run([sys.executable, "-m", "sweeper"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert "Usage: sweeper" in done.stdout + done.stderr


def test_run_hands_the_study_on_and_reports(file, fakes):
    result = call("run", file, "--set", "search.trials=2", "--set", "seeds=[7]", "--address", "auto")
    assert result.exit_code == 0
    (asked, address) = fakes.runs[0]
    assert (asked.search.trials, asked.seeds, address) == (2, (7,), "auto")
    assert fakes.reports == [([asked.run_folder], None)]
    assert "report/index.html" in result.stdout


def test_no_report_writes_none(file, fakes):
    assert call("run", file, "--no-report").exit_code == 0
    assert fakes.reports == []


@pytest.mark.parametrize(
    ("outcome", "code", "reports"),
    [
        ({}, 0, 1),
        ({"already": True}, 0, 1),
        ({"failed": 2}, 1, 1),
        ({"done": 0, "stopped": 0, "failed": 3}, 1, 1),
        ({"failed": 2, "given_up": True}, 1, 1),
        ({"interrupted": True}, 130, 0),
        ({"interrupted": True, "failed": 1}, 130, 0),
    ],
)
def test_exit_codes(file, fakes, outcome, code, reports):
    fakes.outcome = outcome
    assert call("run", file).exit_code == code
    assert len(fakes.reports) == reports


def test_an_interrupted_run_says_how_to_go_on(file, fakes, tmp_path):
    fakes.outcome = {"interrupted": True}
    assert said(call("run", file)) == f"interrupted; `sweeper resume {tmp_path / 'runs' / 's'}` goes on"


@pytest.mark.parametrize(
    ("outcome", "says"),
    [
        (
            {"best": "search 2", "best_score": 0.4891},
            "finished: 3 done, 1 stopped, 0 failed; best on dev: search 2, UAR 0.489",
        ),
        ({"already": True}, "finished before, nothing was run: 3 done, 1 stopped, 0 failed"),
        ({"done": 0, "failed": 4}, "finished: 0 done, 1 stopped, 4 failed; why arms failed stands in"),
        ({"failed": 2, "given_up": True}, "given up: 3 done, 1 stopped, 2 failed; "),
        ({"failed": 2, "given_up": True}, "failures.limit was reached, `sweeper resume "),
    ],
)
def test_a_run_ends_with_what_came_of_it(file, fakes, outcome, says):
    fakes.outcome = outcome
    assert says in said(call("run", file))


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (
            FileNotFoundError(2, "No such file or directory", "/proc/x"),
            2,
            "error: /proc/x: No such file or directory; name a place that can be read and written",
        ),
        (InputError("corpus: is broken; mend it"), 2, "error: corpus: is broken; mend it"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_goes_wrong_is_one_line(file, fakes, error, code, line):
    fakes.fail = error
    result = call("run", file)
    assert result.exit_code == code
    assert said(result) == line


def test_an_error_of_the_analysis_is_bad_input_too(file, fakes, monkeypatch):
    class ReportError(ValueError):
        pass

    monkeypatch.setitem(sys.modules, "analysis.errors", SimpleNamespace(ReportError=ReportError))
    fakes.fail = ReportError("nothing is finished")
    assert call("run", file).exit_code == 2


def test_a_bug_is_not_passed_off_as_bad_input(file, fakes):
    for bug in (ValueError("shapes differ"), OSError(28, "No space left on device")):
        fakes.fail = bug
        result = call("run", file)
        assert result.exit_code == 1
        assert result.exception is bug


def test_debug_shows_where_it_came_from(file, fakes):
    fakes.fail = InputError("x")
    result = call("--debug", "run", file)
    assert isinstance(result.exception, InputError)
    assert call("run", file).exit_code == 2


def test_debug_may_stand_anywhere(tmp_path):
    command = [sys.executable, "-m", "sweeper", "plan", str(tmp_path / "no.yaml"), "--debug"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert "Traceback" in done.stderr
    done = subprocess.run(command[:-1], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_resume_takes_the_study_from_the_run_and_the_place_from_the_command(file, fakes, tmp_path):
    run = tmp_path / "moved" / "here"
    run.mkdir(parents=True)
    (run / "study.yaml").write_text(study.to_yaml(study.load(file)), encoding="utf-8")
    assert call("resume", run).exit_code == 0
    (asked, _) = fakes.runs[0]
    assert asked.run_folder == run
    assert asked.search.trials == 3


def test_plan_counts(file):
    result = call("plan", file, "--set", "seeds=[0, 1]")
    assert result.exit_code == 0
    assert "at most 4 arms x 4 folds x 2 seeds = 32 trainings" in result.stdout


def test_list_shows_methods_and_all_of_one():
    assert "mi_infogan" in call("list").stdout
    page = call("list", "mi_infogan").stdout
    for part in ("generate.lambda_y", "Without cross-modal alignment", "62.31 ± 3.65", "(control)", "0.03 .. 30, log"):
        assert part in page


def test_report_takes_several_runs(fakes, tmp_path):
    assert call("report", "a", "b", "-o", tmp_path).exit_code == 0
    assert fakes.reports == [([Path("a"), Path("b")], tmp_path)]


def test_report_prints_numbers_and_writes_nothing(fakes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("analysis.numbers.read", lambda runs: {"runs": [str(run) for run in runs], "none": None})
    result = call("report", "a", "b", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {"runs": ["a", "b"], "none": None}
    assert fakes.reports == []
    assert list(tmp_path.iterdir()) == []


def test_numbers_go_to_no_folder(fakes, tmp_path):
    result = call("report", "a", "--json", "-o", tmp_path)
    assert result.exit_code == 2
    assert "leave out -o" in result.stderr
    assert fakes.reports == []


def test_export_writes_the_file_and_shows_the_evidence(tmp_path):
    run = made_run.make(tmp_path / "run")
    result = call("export", run, "-o", tmp_path / "best.yaml")
    assert result.exit_code == 0
    assert "chosen from 4 arms by dev" in result.stdout
    assert yaml.safe_load((tmp_path / "best.yaml").read_text(encoding="utf-8"))["method"] == "mi_infogan"
    named = call("export", run, "-o", tmp_path / "other.yaml", "--arm", "paper defaults")
    assert "paper defaults" in named.stdout


def test_train_then_predict(trained, tmp_path):
    result = call("train", trained.best, "-o", tmp_path / "model", "--seeds", "3")
    assert result.exit_code == 0
    assert "align" in said(result)
    assert "12/12" in said(result)
    result = call("predict", tmp_path / "model", trained.corpus, "-o", tmp_path / "out.parquet")
    assert "96 utterances" in result.stdout
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 96


def test_data_check_prints_what_is_there(trained):
    text = call("data", "check", trained.corpus).stdout
    for part in ("80 of 96 utterances labeled", "audio_toy", "leave-one-session-out", "s0F", "predefined"):
        assert part in text


def test_data_synth_writes_a_corpus_that_checks(tmp_path):
    assert call("data", "synth", tmp_path / "made").exit_code == 0
    assert call("data", "check", tmp_path / "made").exit_code == 0


BAD = [
    (("plan", "no.yaml"), "no.yaml: there is no such file"),
    (("plan", "{file}", "--set", "search.trails=3"), "did you mean search.trials?"),
    (("plan", "{file}", "--set", "corpus=no/where"), "no/where"),
    (("plan", "{file}", "--set", "protocol.kind=predefined"), "split"),
    (("plan", "{file}", "--set", "features={{audio: audio_x}}"), "audio_x"),
    (("resume", "{tmp}/toy"), "is no run folder, it holds no study.yaml"),
    (("status", "{tmp}"), "status.json"),
    (("export", "{tmp}", "-o", "x.yaml"), "is no run folder"),
    (("train", "{file}", "-o", "model"), "is no exported configuration"),
    (("train", "{file}", "-o", "model", "--seeds", "a,b"), "--seeds: must be whole numbers with commas"),
    (("train", "{file}", "-o", "model", "--seeds", "1,1"), "--seeds: must be different"),
    (("train", "{file}", "-o", "model", "--seeds", "-1"), "--seeds: must be different and at least 0"),
    (("predict", "{tmp}", "builtin", "-o", "x.parquet"), "is no model folder"),
    (("list", "mi_infogn"), "did you mean mi_infogan?"),
    (("data", "check", "no/where"), "no/where"),
]


@pytest.mark.parametrize(("arguments", "says"), BAD, ids=[" ".join(each[0]) for each in BAD])
def test_bad_input_is_one_line_and_exit_code_2(file, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    result = call(*(each.format(file=file, tmp=tmp_path) for each in arguments))
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("arguments", [("fly",), ("run",), ("run", "x", "--sett", "a=1"), ("export", "x")])
def test_a_command_that_is_none_is_exit_code_2(arguments):
    assert call(*arguments).exit_code == 2
