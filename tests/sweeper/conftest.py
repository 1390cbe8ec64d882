"""A model trained once on the small corpus, for all tests that only read it."""

import made_corpus
import pytest
import torch
from trained_model import Trained, write_best

from sweeper import final


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """Tiny tensors: more threads only wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def trained(tmp_path_factory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    corpus = made_corpus.make(folder / "toy")
    best = write_best(folder / "best.yaml", corpus)
    return Trained(corpus, best, final.train(best, folder / "model"))
