"""clusters/slurm.sbatch, with the real Ray on two hosts; ``srun`` and ``scontrol`` are stand-ins that use ssh."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lab as labs
import pandas as pd
import pytest
import yaml

ASKED = "SWEEPER_CLUSTER_TESTS"
SCRIPT = labs.ROOT / "clusters" / "slurm.sbatch"
STUDY = {
    "name": "slurm",
    "corpus": "builtin",
    "method": "linear",
    "protocol": "leave-one-session-out",
    "seeds": [0],
    "sensitivity": {"parameters": {"fit.C": [0.1, 1.0]}, "around": "paper"},
    "scheduler": {"kind": "none"},
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(not os.environ.get(ASKED), reason=f"takes minutes; set {ASKED}=1 to run it"),
    pytest.mark.skipif(bool(labs.missing()), reason=labs.missing()),
]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[labs.Lab]:
    made = labs.Lab(tmp_path, 2)
    yield made
    made.close()


def stand_ins(lab: labs.Lab) -> Path:
    """Commands of Slurm: the nodes of the job, and one task on each of them, with the caller's settings."""
    folder = lab.shared / "bin"
    folder.mkdir()
    options = f"-i {lab.key} -o BatchMode=yes -o StrictHostKeyChecking=no -o LogLevel=ERROR"
    lines = "\n".join(lab.addresses)
    texts = {
        "scontrol": f"echo '{lines}'",
        "srun": f"""
            shift  # --kill-on-bad-exit=1
            command="export RAY_AUTH_MODE=$RAY_AUTH_MODE PATH=$PATH; $(printf '%q ' "$@")"
            for node in {" ".join(lab.addresses)}; do ssh {options} "root@$node" "$command" & tasks+=($!); done
            for task in "${{tasks[@]}}"; do wait "$task" || failed=$?; done
            exit "${{failed:-0}}"
        """,
    }
    for name, text in texts.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}\n")
        (folder / name).chmod(0o755)
    return folder


def test_a_job_starts_ray_runs_the_study_and_stops_ray(lab):
    study = lab.shared / "study.yaml"
    study.write_text(yaml.safe_dump(STUDY), encoding="utf-8")
    for host in lab.hosts:
        (host.home / ".ray").mkdir()
        (host.home / ".ray" / "auth_token").write_text("0123456789abcdef" * 2)
    slurm = {
        "SLURM_JOB_NODELIST": "host[1-2]",
        "SLURM_JOB_ID": "77",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_CPUS_PER_TASK": "1",
        "SWEEPER_VENV": sys.prefix,
    }
    settings = [f"{name}={value}" for name, value in slurm.items()]
    path = f"PATH={stand_ins(lab)}:{Path(sys.prefix) / 'bin'}:/usr/bin:/bin"
    words = ["env", path, *settings, "bash", str(SCRIPT), str(study), "--set", f"storage={lab.shared / 'runs'}"]
    result = subprocess.run(
        lab.hosts[0].command(*words, "--no-report"), capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    trials = pd.read_parquet(lab.shared / "runs" / "slurm" / "trials.parquet")
    assert list(trials["status"]) == ["done"] * 3
    assert "2 at a time" in result.stdout + result.stderr, "both nodes were counted"
    assert [line for host in lab.hosts for line in host.processes() if not line.startswith("sshd")] == []
