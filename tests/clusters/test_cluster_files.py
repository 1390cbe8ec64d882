"""What can be said of the files in clusters/ without a cluster."""

import json
import re
import shlex
import subprocess
from importlib import metadata
from pathlib import Path

import jsonschema
import pytest
import ray
import typer.main
import yaml
from ray.autoscaler._private.util import prepare_config
from ray.scripts.scripts import start

from sweeper import growth
from sweeper.cli import app

ROOT = Path(__file__).parents[2]
ONPREM, SLURM, KUBERAY = (ROOT / "clusters" / name for name in ("onprem.yaml", "slurm.sbatch", "kuberay.yaml"))
OPTIONS = {name.lstrip("-") for each in start.params for name in each.opts}


@pytest.fixture(scope="module")
def onprem() -> dict:
    return yaml.safe_load(ONPREM.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def job() -> dict:
    return yaml.safe_load(KUBERAY.read_text(encoding="utf-8"))["spec"]


def understood(command: list[str]) -> None:
    """Have the command line parse a ``sweeper`` command; it exits on one that it does not know."""
    assert command[0] == "sweeper"
    group = typer.main.get_command(app)
    name, found, rest = group.resolve_command(group.make_context("sweeper", command[1:]), command[1:])
    found.make_context(name, rest)


def test_onprem_fits_rays_schema_and_starts_ray_on_all_its_hosts(onprem):
    """As Ray itself completes the file."""
    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    jsonschema.validate(onprem, json.loads(schema.read_text(encoding="utf-8")))
    whole = prepare_config(onprem)
    hosts = whole["available_node_types"]["local.cluster.node"]
    workers = len(onprem["provider"]["worker_ips"])
    assert hosts["min_workers"] == hosts["max_workers"] == whole["max_workers"] == workers
    assert whole["head_setup_commands"] == whole["worker_setup_commands"] == onprem["setup_commands"]


def test_onprem_starts_the_autoscaler_that_keeps_sight_of_the_head(onprem):
    (start,) = [each for each in onprem["head_start_ray_commands"] if "ray start" in each]
    assert "RAY_enable_autoscaler_v2=0" in start


def test_onprem_starts_ask_for_the_token_with_options_that_ray_has(onprem):
    starts = [
        each for role in ("head", "worker") for each in onprem[f"{role}_start_ray_commands"] if "ray start" in each
    ]
    assert len(starts) == 2
    for command in starts:
        assert "RAY_AUTH_MODE=token" in command
        assert set(re.findall(r" --([a-z-]+)", command)) <= OPTIONS
    assert "--dashboard-host=127.0.0.1" in starts[0]


def test_slurm_script_is_a_script_with_options_that_ray_has():
    subprocess.run(["bash", "-n", SLURM], check=True)
    text = SLURM.read_text(encoding="utf-8")
    call = shlex.split(text[text.index("srun ") :].replace("\\\n", " "))
    begun = call[call.index("symmetric-run") + 1 : call.index("--")]
    given = {each.lstrip("-").partition("=")[0] for each in begun if each.startswith("--")}
    assert given - {"min-nodes"} <= OPTIONS
    understood([*call[call.index("--") + 1 :]])
    assert "export RAY_AUTH_MODE=token" in text


def test_slurm_script_refuses_to_start_without_a_token(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "activate").touch()
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SWEEPER_VENV": str(tmp_path)}
    result = subprocess.run(["bash", SLURM, "study.yaml"], env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith("no token")


def test_kuberay_job_is_of_this_ray_and_closed(job):
    cluster = job["rayClusterSpec"]
    assert cluster["rayVersion"] == metadata.version("ray")
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"
    understood(shlex.split(job["entrypoint"]))


#: What KubeRay 1.5.1's types have of what a study needs (its ``ray.io/v1`` reference): a misspelled one is dropped.
NAMES = {
    "job": {"entrypoint", "backoffLimit", "shutdownAfterJobFinishes", "ttlSecondsAfterFinished", "rayClusterSpec"},
    "cluster": {"rayVersion", "authOptions", "enableInTreeAutoscaling", "headGroupSpec", "workerGroupSpecs"},
    "head": {"serviceType", "rayStartParams", "template"},
    "worker": {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"},
}


def test_kuberay_job_has_names_that_kuberay_knows(job):
    cluster = job["rayClusterSpec"]
    found = {"job": [job], "cluster": [cluster], "head": [cluster["headGroupSpec"]]}
    found["worker"] = cluster["workerGroupSpecs"]
    assert {kind: set().union(*parts) - NAMES[kind] for kind, parts in found.items()} == {kind: set() for kind in NAMES}


def test_kuberay_head_says_what_the_workers_come_to(job):
    cluster = job["rayClusterSpec"]
    (head,) = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    (said,) = [each["value"] for each in head["env"] if each["name"] == growth.VARIABLE]
    total = {"CPU": 0, "GPU": 0}
    for group in cluster["workerGroupSpecs"]:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        total["CPU"] += group["maxReplicas"] * int(limits["cpu"])
        total["GPU"] += group["maxReplicas"] * int(limits["nvidia.com/gpu"])
    assert said == f"CPU={total['CPU']},GPU={total['GPU']}"


def test_kuberay_pods_see_one_folder_and_start_ray_with_options_it_has(job):
    cluster = job["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        assert set(group["rayStartParams"]) <= OPTIONS
        pod = group["template"]["spec"]
        claims = {each["name"]: each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"]}
        mounts = {each["mountPath"]: claims[each["name"]] for each in pod["containers"][0]["volumeMounts"]}
        assert mounts == {"/shared": "sweeper"}
    for group in cluster["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]


@pytest.mark.parametrize("path", [ONPREM, SLURM, KUBERAY], ids=lambda path: path.name)
def test_holds_no_secret(path):
    assert not re.search(r"AKIA[0-9A-Z]{16}|aws_secret|BEGIN [A-Z ]*PRIVATE KEY|[0-9a-f]{32}", path.read_text())
