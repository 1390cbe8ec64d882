"""What tests of several packages share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is no failure: nothing here is timed.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Folder of a real corpus by name; skips where it is not there (set SWEEPER_DATA to say where)."""

    def find(name: str) -> Path:
        base = Path(os.environ.get("SWEEPER_DATA", _ROOT.parent / "shared" / "data"))
        if not (base / name).is_dir():
            pytest.skip(f"real corpus {name} is not in {base}; set SWEEPER_DATA to the folder that holds it")
        return base / name

    return find


@pytest.fixture(scope="session")
def sweeper() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line in a process of its own: ``sweeper(folder, "run", "study.yaml")``."""

    def call(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
        command = [sys.executable, "-m", "sweeper", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=900, check=False
        )

    return call


@pytest.fixture(scope="session")
def quickstart(
    sweeper: Callable[..., subprocess.CompletedProcess[str]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder with the studies in it, as a fresh clone has them, where the README's first command was run."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(_ROOT / "studies", folder / "studies")
    result = sweeper(folder, "run", "studies/quickstart.yaml")
    assert result.returncode == 0, result.stderr
    return folder
