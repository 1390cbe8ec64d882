"""Every bad input is answered in one line that names place, expectation and remedy, and changes nothing.

The inputs stand in the tables `cases_*.py`, one line each.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cases_call
import cases_corpus
import cases_kept
import cases_study
import pytest
import typer.main
import whole_run
from bad_case import Case, sound

from sweeper import cli

CASES = (*cases_call.CASES, *cases_study.CASES, *cases_corpus.CASES, *cases_kept.CASES)
#: Longer answers are not read.
_LONGEST = 1000


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, trained: Any) -> Path:
    """One of everything that a case can spoil."""
    folder = tmp_path_factory.mktemp("sound")
    sound(folder)
    shutil.copytree(trained.model, folder / "model")
    best = trained.best.read_text(encoding="utf-8").replace(str(trained.corpus), "toy")
    (folder / "best.yaml").write_text(best, encoding="utf-8")
    for name in ("whole", "cut"):
        whole_run.make(folder / name, folder / "toy", finished=name == "whole")
    return folder


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file and folder below, with size and time of change; of folders only that they are there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        found[str(path.relative_to(folder))] = (0, 0) if path.is_dir() else (about.st_size, about.st_mtime_ns)
    return found


def _taken(address: str | None) -> None:
    raise AssertionError("what is bad was taken for good: arms would have been run")


#: Made once: Typer makes it anew for every call, which is half of what a case takes.
_COMMAND = typer.main.get_command(cli.app)


def _call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(typer.main, "get_command", lambda app: _COMMAND)
    monkeypatch.setattr(sys, "argv", ["sweeper", *arguments])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return left.value.code


def _problems(case: Case, code: object, out: str, err: str) -> list[str]:
    found = [f"does not say {word!r}" for word in case.says if word.casefold() not in err.casefold()]
    if code != 2:
        found.append(f"exit code {code}")
    if out or not err.startswith("error: ") or not err.endswith("\n") or not err[:-1].isprintable():
        found.append(f"is no single line; standard output: {out!r}")
    if len(err) > _LONGEST:
        found.append(f"has {len(err)} characters")
    return found


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_bad_input_is_answered_in_one_line_and_changes_nothing(
    case: Case,
    template: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("study.yaml", "toy", *case.parts):
        copy = shutil.copytree if (template / name).is_dir() else shutil.copy2
        copy(template / name, tmp_path / name)
    case.spoil(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sweeper.connect.cluster", _taken)
    before = _listing(tmp_path)
    code = _call(monkeypatch, *case.command)
    out, err = capsys.readouterr()
    problems = _problems(case, code, out, err)
    if _listing(tmp_path) != before:
        problems.append(f"changed: {sorted(set(_listing(tmp_path).items()) ^ set(before.items()))}")
    assert not problems, err


#: What no test in this process can see: how the command starts, what it imports, how it ends.
_WHOLE = {
    ("run", "study.yaml", "--nope"): "error: sweeper run: No such option: --nope",
    ("run", "study.yaml", "--address", "127.0.0.1:1"): "error: --address 127.0.0.1:1: nobody answers there",
    ("predict", "toy", "toy", "-o", "new.parquet"): "error: toy: is no model folder",
}


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "says"), _WHOLE.items(), ids=[" ".join(each) for each in _WHOLE])
def test_a_process_of_its_own_answers_in_one_line_and_changes_nothing(
    arguments: tuple[str, ...], says: str, template: Path, tmp_path: Path, sweeper: Callable[..., Any]
) -> None:
    shutil.copy2(template / "study.yaml", tmp_path)
    shutil.copytree(template / "toy", tmp_path / "toy")
    before = _listing(tmp_path)
    done = sweeper(tmp_path, *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("error: ")
    assert says in done.stderr
    assert _listing(tmp_path) == before


def test_cases_have_names_of_their_own() -> None:
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)
