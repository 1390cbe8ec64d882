"""Every command and snippet of the README, run as printed, in the order printed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: What sets up an environment: `.ci/run` does that, with the same lines; and the tests themselves.
SET_UP = ("python3.11 -m venv .venv", ". .venv/bin/activate", "pip install ", "python -m pytest")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands():
    lines = [part.strip() for block in blocks("sh") for line in block.splitlines() for part in line.split("&&")]
    lines += [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]
    return lines


def test_the_readme_has_its_two_lines():
    assert len(blocks("sh")) == 2
    assert [line for line in commands() if line.startswith("sweeper run")] == ["sweeper run studies/quickstart.yaml"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_does_what_it_says(quickstart, sweeper):
    """In the order printed; the run itself was made by the fixture, so `sweeper run` finds nothing left to do."""
    ran = 0
    for command in commands():
        if command.startswith(SET_UP):
            continue
        program, *arguments = shlex.split(command)
        assert program == "sweeper", command
        result = sweeper(quickstart, *arguments)
        assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
        assert "Traceback" not in result.stderr
        ran += 1
    assert ran >= 7
    assert (quickstart / "runs/quickstart/report/index.html").stat().st_size > 10_000
    assert (quickstart / "predictions.parquet").exists()


def test_the_set_up_line_is_what_ci_runs():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    install, test = "pip install -q -c constraints.txt -e '.[dev]'", "python -m pytest -n auto --dist worksteal"
    assert install in README
    assert install in script
    assert f"{test}\n" in README
    assert test in script


@pytest.mark.slow
def test_python_snippets_run(tmp_path):
    for snippet in blocks("python"):
        result = subprocess.run(
            [sys.executable, "-c", snippet],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        assert len(result.stdout.splitlines()) >= 10


def test_the_study_shown_is_the_study_shipped():
    shown = blocks("yaml")[0].strip()
    shipped = (ROOT / "studies/quickstart.yaml").read_text(encoding="utf-8").strip()
    assert shown == shipped


def test_files_it_points_to_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
