"""The Ray cluster a run uses: the one there is, the one at an address, or a local one."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import ray

from sweeper import process
from sweeper.failure import reason
from trainables.errors import InputError

#: For this process while it runs a study. Tune's own loggers, checks and snapshots are replaced by our tables.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # An arm that asked for no GPU gets none to see.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # The newer reporter greets on standard output at every verbosity.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


def check(resume: str) -> None:
    """Make sure that the processes of a local Ray live: without them a driver may wait for its arms for ever.

    Args:
        resume: What is to be given to ``sweeper resume``.

    Raises:
        InputError: If one of them has gone.
    """
    node = ray._private.worker._global_node
    if node is None or not node.head:
        return
    # Known by Ray to be gone; those that it ended itself are not among them.
    gone = [name for name, process in node.dead_processes() if name in ("raylet", "gcs_server")]
    if gone:
        raise InputError(
            f"Ray's own process {gone[0]} is gone (killed, or the host is overloaded); "
            f"`sweeper resume {resume}` goes on"
        )


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """A Ray cluster: the one there is, the one at an address, or a local one for the time of the block."""
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    process.knock(address)
    if ray.is_initialized():
        yield
        return
    with process.environment(ENVIRONMENT), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if address == "local":
            process.private_token()
            ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        else:
            _connect(address)
    try:
        yield
    finally:
        ray.shutdown()


def capacity() -> dict[str, float]:
    """CPUs and GPUs that the cluster has, or would have once its autoscaler has brought all nodes it may."""
    now = ray.cluster_resources()
    most = _most()
    return {name: max(now.get(name, 0.0), most.get(name, 0.0)) for name in ("CPU", "GPU")}


def _most() -> dict[str, float]:
    """What the autoscaler may bring, where there is one that says so and stops somewhere."""
    from ray._private import state

    # Private, but what Ray's own libraries ask; a Ray that no longer has it leaves us with what is there.
    with suppress(AttributeError):
        stated = state.state.get_max_resources_from_cluster_config() or {}
        return {name: float(each) for name, each in stated.items() if each < sys.maxsize}
    return {}


def _connect(address: str) -> None:
    with suppress(ImportError):
        # `ray start` asks for the token as soon as there is one; a driver that connects would not show it.
        from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available

        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError) as error:
        remedy = "is its token in ~/.ray/auth_token?"
        raise InputError(f"--address {address}: no Ray cluster lets us in ({reason(error)}); {remedy}") from None
