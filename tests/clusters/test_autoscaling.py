"""A cluster with no worker up: a study brings them, as many as may come, and Ray takes them back afterwards.

Ray's own provider for tests starts the nodes, in a namespace of processes of their own.
"""

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import lab as labs
import pandas as pd
import pytest
import yaml

ASKED = "SWEEPER_CLUSTER_TESTS"
HEAD = "f" * 51 + "00000"
CLUSTER = {
    "cluster_name": "grows",
    "max_workers": 3,
    "provider": {
        # As a stranger's provider: the defaults of Ray's own are not in its wheels.
        "type": "external",
        "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
        "launch_multiple": True,
        "head_node_id": HEAD,
    },
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "worker": {
            "resources": {"CPU": 1, "object_store_memory": 10**8},
            "node_config": {},
            "min_workers": 0,
            "max_workers": 2,
        },
    },
    "head_node_type": "ray.head.default",
    "upscaling_speed": 1.0,
    "idle_timeout_minutes": 0.2,
    **{key: {} for key in ("auth", "docker", "file_mounts")},
    **{key: [] for key in ("initialization_commands", "setup_commands", "cluster_synced_files")},
    **{key: [] for key in ("head_setup_commands", "worker_setup_commands", "rsync_exclude", "rsync_filter")},
    **{key: [] for key in ("head_start_ray_commands", "worker_start_ray_commands")},
    "file_mounts_sync_continuously": False,
}
STUDY = {
    "name": "grows",
    "corpus": "builtin",
    "method": "linear",
    "protocol": "leave-one-session-out",
    "seeds": [0],
    "sensitivity": {"parameters": {"fit.C": [0.1, 0.2, 10.0]}, "around": "paper"},
    "scheduler": {"kind": "none"},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not os.environ.get(ASKED), reason=f"takes minutes; set {ASKED}=1 to run it"),
    pytest.mark.skipif(bool(labs.missing()), reason=labs.missing()),
]


@pytest.fixture
def host(tmp_path: Path) -> Iterator[labs.Host]:
    made = labs.Lab(tmp_path, 1)
    yield made.hosts[0]
    made.close()


def ray(host: labs.Host, *words: str, **settings: str) -> str:
    """What a command said, in a shell that asks for the token."""
    env = [f"{name}={value}" for name, value in {"RAY_AUTH_MODE": "token", **settings}.items()]
    done = subprocess.run(
        host.command("env", *env, *words),
        capture_output=True,
        text=True,
        timeout=600,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def nodes(host: labs.Host) -> int:
    """How many raylets run, the head's among them."""
    return sum("raylet/raylet" in line.split(" ")[0] for line in host.processes())


def test_a_study_brings_the_workers_that_it_needs(host):
    config = host.home / "ray_bootstrap_config.yaml"
    config.write_text(json.dumps(CLUSTER))
    path = host.folder.parent / "shared" / "study.yaml"
    path.write_text(yaml.safe_dump({**STUDY, "storage": str(path.parent / "runs")}), encoding="utf-8")
    ray(host, "ray", "get-auth-token", "--generate")
    v2 = {"RAY_FAKE_CLUSTER": "1", "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_enable_autoscaler_v2": "1"}
    mine = {"RAY_CLOUD_INSTANCE_ID": HEAD, "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD}
    start = ("ray", "start", "--head", "--num-cpus=0", "--disable-usage-stats", f"--autoscaling-config={config}")
    ray(host, *start, **v2, **mine)
    assert nodes(host) == 1

    said = ray(host, "sweeper", "run", str(path), "--address", "auto", "--no-report")
    assert "at most 4 arms, 2 at a time" in said
    assert list(pd.read_parquet(path.parent / "runs" / "grows" / "trials.parquet")["status"]) == ["done"] * 4
    while nodes(host) > 1:
        time.sleep(1)
