"""The Ray cluster a run uses: the one there is, the one at an address, or a local one."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ray
from ray._private import ray_constants

from sweeper import growth, process
from sweeper.failure import reason
from trainables.errors import InputError

#: For this process while it runs a study. Tune's own loggers, checks and snapshots are replaced by our tables.
ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # An arm that asked for no GPU gets none to see.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    # The newer reporter greets on standard output at every verbosity.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Logs of Ray's processes are turned over at 20 MB; it would keep 3 GB of each, and of its workers' all.
    "RAY_ROTATION_MAX_BYTES": "20000000",
    "RAY_ROTATION_BACKUP_COUNT": "1",
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


def knock(address: str | None) -> None:
    """Refuse a cluster that does not answer, before anything is written for it.

    Raises:
        InputError: If nobody listens there.
    """
    process.knock(_named(address))


def _named(address: str | None) -> str:
    return address or os.environ.get("RAY_ADDRESS") or "local"


@contextmanager
def cluster(address: str | None, *, dashboard: bool = False) -> Iterator[None]:
    """A Ray cluster: the one there is, the one at an address, or a local one for the time of the block.

    Args:
        address: Where it is; by default the one in ``RAY_ADDRESS``, or else a local one.
        dashboard: Whether a local one needs what Ray Train asks when it frees what a killed arm's workers had.
    """
    knock(address)
    address = _named(address)
    if ray.is_initialized():
        yield
        return
    with process.environment(ENVIRONMENT), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if address == "local":
            process.private_token()
            with _loopback():
                _start(dashboard)
        else:
            _connect(address)
    try:
        yield
    finally:
        ray.shutdown()


def capacity() -> dict[str, float]:
    """CPUs and GPUs that the cluster has, or would have once its autoscaler has brought all nodes it may.

    Raises:
        InputError: If what the environment says of it cannot be read.
    """
    now = ray.cluster_resources()
    node = ray._private.worker._global_node
    if node is not None and node.head:
        # Ours, of this machine: it does not grow.
        return {name: now.get(name, 0.0) for name in ("CPU", "GPU")}
    most = growth.stated() or _most() or (growth.planned(Path.home()) if _on_head() else {})
    return {name: max(now.get(name, 0.0), most.get(name, 0.0)) for name in ("CPU", "GPU")}


def _most() -> dict[str, float]:
    """What the autoscaler may bring, where there is one that says so and stops somewhere."""
    from ray._private import state

    # Private, but what Ray's own libraries ask. Nothing in Ray 2.60 fills it in; a later one may.
    with suppress(AttributeError):
        stated = state.state.get_max_resources_from_cluster_config() or {}
        return {name: float(each) for name, each in stated.items() if each < sys.maxsize}
    return {}


def _on_head() -> bool:
    """Whether this process runs on the head of the cluster it is connected to."""
    if not ray.is_initialized():
        return False
    return ray.get_runtime_context().gcs_address.rpartition(":")[0] == ray.util.get_node_ip_address()


def _start(dashboard: bool) -> None:
    try:
        ray.init(address="local", include_dashboard=dashboard, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        # Ray raises a bare Exception here, and whatever else comes of parts that find no room.
        raise InputError(
            f"Ray did not start on this machine ({reason(error)}): it is overloaded, or short of memory, disk or "
            "processes; try again when it is free, or name a cluster by --address"
        ) from error


@contextmanager
def _loopback() -> Iterator[None]:
    """Have the Ray that is started listen on loopback alone, unless its variable was set in the environment.

    Ray's name for it is of the systems where it is the default: no clusters, so no address of the network. Processes
    that it starts read the variable; this one has done so when it loaded Ray.
    """
    name, before = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, ray_constants.ENABLE_RAY_CLUSTER
    with process.environment({name: "0"}):
        ray_constants.ENABLE_RAY_CLUSTER = ray_constants.env_bool(name, True)
        try:
            yield
        finally:
            ray_constants.ENABLE_RAY_CLUSTER = before


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
