"""Whatever Ray says of an actor is the end of that actor, and not of the experiment."""

import pickle
from types import SimpleNamespace

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import NodeDiedError, ObjectLostError, OutOfMemoryError

from sweeper.failure import cause, died, out_of_memory
from sweeper.lost import Lost, known_to_tune

FULL = OutOfMemoryError("2 worker(s) were killed")


def failed(error):
    """What Tune is told of the actor and of its task when a call ends so."""
    told = []
    actor = SimpleNamespace(actor_id=1, _on_error=lambda actor, error: told.append(error))
    task = SimpleNamespace(_tracked_actor=actor, _on_error=lambda actor, error: told.append(error))
    # Without its resources: asking for them would start a Ray, which is not this test's to start.
    manager = object.__new__(RayActorManager)
    manager._failed_actor_ids = set()
    manager._cleanup_actor = lambda tracked_actor: None
    manager._actor_task_failed(tracked_actor_task=task, exception=error)
    return told


@pytest.mark.parametrize("error", [FULL, NodeDiedError("its node died"), ObjectLostError("0" * 56, None, "")], ids=repr)
def test_the_end_of_one_actor_is_not_everybodys(error):
    with known_to_tune():
        told = failed(error)
    assert len(told) == 2
    assert all(isinstance(each, Lost) and cause(each) is error and died(each) for each in told)
    assert all(out_of_memory(each) == (error is FULL) for each in told)


def test_it_is_needed_and_ends_with_the_block():
    with known_to_tune():
        failed(FULL)
    with pytest.raises(RuntimeError, match="Caught unexpected exception: 2 worker"):
        failed(FULL)


def test_it_can_be_passed_on():
    passed = pickle.loads(pickle.dumps(Lost(FULL)))
    assert isinstance(cause(passed), OutOfMemoryError)
    assert str(passed) == str(FULL)
