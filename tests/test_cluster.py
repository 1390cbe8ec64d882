"""The cluster file fits Ray's own schema, opens nothing and holds no secret."""

import importlib.util
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def cluster() -> dict:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text(encoding="utf-8"))


def _schema() -> dict:
    spec = importlib.util.find_spec("ray")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(next(iter(spec.submodule_search_locations)))
    return json.loads((folder / "autoscaler" / "ray-schema.json").read_text(encoding="utf-8"))


def test_fits_the_schema_of_the_installed_ray(cluster):
    jsonschema.validate(cluster, _schema())


def test_schema_refuses_an_unknown_key(cluster):
    with pytest.raises(jsonschema.ValidationError, match="max_nodes"):
        jsonschema.validate(cluster | {"max_nodes": 3}, _schema())


def test_head_type_exists_and_workers_fit_under_the_limit(cluster):
    types = cluster["available_node_types"]
    assert cluster["head_node_type"] in types
    assert cluster["max_workers"] == 1 + sum(kind.get("max_workers", 0) for kind in types.values())


def test_workers_are_spot_and_scale_to_zero(cluster):
    gpu = cluster["available_node_types"]["gpu"]
    assert gpu["min_workers"] == 0
    assert gpu["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}


def test_every_start_asks_for_the_token_and_the_dashboard_stays_on_loopback(cluster):
    starts = [
        command
        for key in ("head_start_ray_commands", "worker_start_ray_commands")
        for command in cluster[key]
        if "ray start" in command
    ]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in command for command in starts)
    assert [re.findall(r"--dashboard-host=(\S+)", command) for command in starts] == [["127.0.0.1"], []]


def test_holds_no_secret():
    text = (ROOT / "cluster.yaml").read_text(encoding="utf-8")
    assert not re.search(r"AKIA[0-9A-Z]{16}|aws_secret|BEGIN [A-Z ]*PRIVATE KEY", text)
