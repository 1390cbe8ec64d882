"""What a cluster may grow to, from the file of `ray up` and from the environment."""

import json

import pytest

from sweeper import growth
from trainables.errors import InputError

HEAD = {"resources": {"CPU": 0}, "max_workers": 0}
GPU = {"resources": {"CPU": 4, "GPU": 1}, "max_workers": 8}
CPU = {"resources": {"CPU": 32}, "max_workers": 2}


def left(home, kinds, most):
    config = {"max_workers": most, "head_node_type": "head", "available_node_types": {"head": HEAD, **kinds}}
    (home / growth.FILE).write_text(json.dumps(config))
    return growth.planned(home)


def test_all_workers_that_may_come_count(tmp_path):
    assert left(tmp_path, {"gpu": GPU}, 9) == {"CPU": 32, "GPU": 8}


def test_the_limit_of_the_whole_cluster_holds_for_whichever_nodes_have_most(tmp_path):
    assert left(tmp_path, {"gpu": GPU, "cpu": CPU}, 3) == {"CPU": 2 * 32 + 2 * 4, "GPU": 4}


def test_a_head_that_trains_counts_once(tmp_path):
    trains = {"head": {"resources": {"CPU": 16}, "max_workers": 0}}
    assert left(tmp_path, {"gpu": GPU, **trains}, 2) == {"CPU": 16 + 2 * 4, "GPU": 3}


@pytest.mark.parametrize("content", [None, "", "[]", "{", "max_workers: many", '{"max_workers": 3}'])
def test_a_file_that_says_nothing_is_no_error(tmp_path, content):
    if content is not None:
        (tmp_path / growth.FILE).write_text(content)
    assert growth.planned(tmp_path) == {}


def test_the_environment_says_it(monkeypatch):
    monkeypatch.setenv(growth.VARIABLE, "CPU=32, GPU=8")
    assert growth.stated() == {"CPU": 32.0, "GPU": 8.0}
    monkeypatch.delenv(growth.VARIABLE)
    assert growth.stated() == {}


@pytest.mark.parametrize(
    "text", ["32", "CPU", "CPU=", "CPU=-1", "TPU=3", "CPU=1,CPU=2", "CPU=1;GPU=2", "CPU=" + "9" * 40]
)
def test_what_it_says_wrongly_is_refused_with_an_example(monkeypatch, text):
    monkeypatch.setenv(growth.VARIABLE, text)
    with pytest.raises(InputError, match="SWEEPER_CAPACITY: must name CPUs and GPUs, such as CPU=32,GPU=8"):
        growth.stated()
