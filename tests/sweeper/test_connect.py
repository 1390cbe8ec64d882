"""What a cluster has to offer: what is there, and what its autoscaler would bring."""

import pytest
import ray
from ray._private.state import state
from ray.core.generated import autoscaler_pb2

from sweeper import connect
from trainables.errors import InputError


@pytest.fixture
def cluster(monkeypatch):
    """A cluster that has, and whose autoscaler was told of groups of nodes: (most, resources of one)."""

    def make(has, groups=None):
        told = [
            autoscaler_pb2.NodeGroupConfig(name=str(number), max_count=most, resources=each)
            for number, (most, each) in enumerate(groups or ())
        ]
        config = None if groups is None else autoscaler_pb2.ClusterConfig(node_group_configs=told)
        monkeypatch.setattr(ray, "cluster_resources", lambda: has)
        monkeypatch.setattr(state, "get_cluster_config", lambda: config)

    return make


def test_without_an_autoscaler_it_is_what_is_there(cluster):
    cluster({"CPU": 4.0, "memory": 1e9})
    assert connect.capacity() == {"CPU": 4.0, "GPU": 0.0}


def test_nodes_that_would_come_count(cluster):
    cluster({"memory": 1e9}, [(1, {"CPU": 0}), (8, {"CPU": 4, "GPU": 1})])
    assert connect.capacity() == {"CPU": 32.0, "GPU": 8.0}


def test_nodes_of_unknown_size_or_without_end_do_not(cluster):
    """Hosts of one's own say what they have once they are there."""
    cluster({"CPU": 4.0}, [(3, {})])
    assert connect.capacity() == {"CPU": 4.0, "GPU": 0.0}
    cluster({"CPU": 4.0}, [(-1, {"CPU": 2})])
    assert connect.capacity() == {"CPU": 4.0, "GPU": 0.0}


def test_what_is_there_counts_beside_what_would_come(cluster):
    cluster({"CPU": 64.0}, [(2, {"CPU": 4, "GPU": 1})])
    assert connect.capacity() == {"CPU": 64.0, "GPU": 2.0}


def test_a_ray_that_does_not_start_is_told_in_one_line(monkeypatch):
    def fails(**settings):
        raise Exception("The current node timed out during startup.\nThe GCS has become overloaded.")

    monkeypatch.setattr(ray, "init", fails)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with (
        pytest.raises(InputError, match=r"Ray did not start on this machine \(.*overloaded") as refused,
        connect.cluster(None),
    ):
        pass
    assert "\n" not in str(refused.value)
