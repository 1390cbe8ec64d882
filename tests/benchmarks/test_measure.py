"""What a command costs is seen from outside, and a failing one is no measurement."""

import sys

import measure
import pytest

INNER = "x = bytearray(2**26); [sum(range(10**6)) for _ in range(80)]"
BUSY = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {INNER!r}])"


@pytest.mark.slow
def test_processes_of_a_command_are_counted_too(tmp_path):
    cost = measure.call([sys.executable, "-c", BUSY], tmp_path / "log")
    assert cost.cpu_seconds > 0.25
    assert cost.memory > 0
    assert cost.resident >= cost.memory


def test_a_command_that_fails(tmp_path):
    with pytest.raises(RuntimeError, match="exit 3\nwhy"):
        measure.call([sys.executable, "-c", "print('why'); raise SystemExit(3)"], tmp_path / "log")


def test_variables_of_the_environment_and_the_folder(tmp_path):
    measure.call(
        [sys.executable, "-c", "import os; print(os.environ['COLOUR'], os.getcwd())"], tmp_path / "log", COLOUR="red"
    )
    assert (tmp_path / "log").read_text() == f"red {tmp_path}\n"
