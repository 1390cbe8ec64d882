"""The benchmarks are scripts beside the packages; their folder is where they import from."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tiny tensors: more threads only wait for each other."""
    torch.set_num_threads(1)
