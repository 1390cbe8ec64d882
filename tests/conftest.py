"""What tests of several packages share."""

from __future__ import annotations

import os
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
