"""Why arms failed, in words."""

import torch
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayTaskError

from sweeper.failure import blameless, died, reason, why
from trainables.errors import Diverged


def from_worker(error):
    """As it arrives from a worker."""
    return RayTaskError("step", "first line\nlast line", error).as_instanceof_cause()


def test_the_reason_of_an_own_error_is_its_text():
    assert reason(Diverged("stage x: loss is not finite")) == "stage x: loss is not finite"
    assert reason(ValueError("first\n\nlast")) == "ValueError: last"
    assert reason(KeyboardInterrupt()) == "KeyboardInterrupt"


def test_memory_of_the_device_and_of_the_host():
    assert why(from_worker(torch.OutOfMemoryError("CUDA out of memory."))) == "OutOfMemoryError: CUDA out of memory."
    killed = OutOfMemoryError("Worker killed, 95% of memory used\nadvice\nmore advice")
    assert (
        why(killed)
        == "the host ran out of memory, and the worker process was killed (Worker killed, 95% of memory used)"
    )
    assert died(killed)


def test_a_trainer_that_died_is_seen_through_the_worker_that_asked_it():
    assert died(from_worker(ActorDiedError()))
    assert why(from_worker(ActorDiedError())).startswith("the worker process died (")
    assert not died(from_worker(OSError("gone")))


def test_what_is_no_arms_fault():
    assert not blameless(ActorDiedError())
    assert not blameless(from_worker(OSError("the node has died")))
