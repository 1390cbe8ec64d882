import sys
from dataclasses import replace

import pytest
import tiny
import torch
from tiny_method.config import Config
from tiny_method.method import METHOD

from search_spaces.change import apply
from sweeper.artifacts import digest, identity, keys
from trainables import methods


def test_stages_share_a_key_as_far_as_their_configs_agree():
    def of(**changes):
        return keys(METHOD, apply(Config(), changes), "task")

    base = of()
    assert list(base) == ["learn", "dream", "tune"]
    assert len(set(base.values())) == 3
    later = of(**{"tune.gain": 0.5})
    assert (later["learn"], later["dream"]) == (base["learn"], base["dream"])
    assert later["tune"] != base["tune"]
    earlier = of(**{"learn.rate": 0.5})
    assert not set(earlier.values()) & set(base.values())
    without = of(**{"dream.on": False})
    assert without["learn"] == base["learn"]
    assert without["tune"] != base["tune"]


def test_keys_tell_tasks_and_versions_apart():
    config = Config()
    newer = replace(METHOD, version=2)
    assert not set(keys(METHOD, config, "a").values()) & set(keys(METHOD, config, "b").values())
    assert not set(keys(METHOD, config, "a").values()) & set(keys(newer, config, "a").values())


def test_a_task_is_known_by_its_content(tmp_path):
    task = tiny.task(tmp_path / "toy")
    swapped = replace(task, folds=(replace_parts(task.folds[0], task.corpus.speakers), *task.folds[1:]))
    others = [
        replace(task, seeds=(0, 2)),
        replace(task, folds=task.folds[:-1]),
        swapped,
        replace(task, corpus=replace(task.corpus, fingerprint="other")),
        replace(task, corpus=replace(task.corpus, columns={"audio": "audio_other"})),
    ]
    assert digest(task) == digest(tiny.task(tmp_path / "toy"))
    assert len({digest(each) for each in [task, *others]}) == 6


def replace_parts(fold, speakers):
    """The fold with dev and test exchanged."""
    return type(fold)(fold.name, fold.train, fold.test, fold.dev, fold.unlabeled, speakers=speakers)


@pytest.mark.parametrize("name", sorted(methods.METHODS))
def test_the_code_of_a_method_is_its_package_and_what_it_imports_of_ours(name):
    made = methods.get(name)
    modules = identity._closure({stage.run.__module__ for stage in made.stages})
    loaded = {each for each in sys.modules if each.startswith(f"trainables.{name}.")}
    assert {each for each in loaded if not each.endswith((".config", ".method", ".predict"))} <= set(modules)
    assert {"trainables", f"trainables.{name}", "trainables.epoch", "trainables.metrics"} <= set(modules)
    others = set(methods.METHODS) - {name}
    assert not {each for each in modules if each.split(".")[1:2] and each.split(".")[1] in others}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A package outside of ours with a method's modules; gives its folder."""
    folder = tmp_path / "made_lab"
    (folder / "deep").mkdir(parents=True)
    files = {
        "__init__.py": "",
        "run.py": "def run():\n    from made_lab import shared\n",
        "shared.py": "from .deep import loss\nimport trainables.losses\n",
        "deep/__init__.py": "",
        "deep/loss.py": "x = 1\n",
        "deep/unused.py": "",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    for cached in (identity._file, identity._imports, identity._source):
        cached.cache_clear()
    yield folder
    for cached in (identity._file, identity._imports, identity._source):
        cached.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "made_lab"]:
        del sys.modules[name]


def test_imports_are_followed_wherever_they_stand(lab):
    found = set(identity._closure({"made_lab.run"}))
    assert {each for each in found if each.startswith("made_lab")} == {
        "made_lab",
        "made_lab.run",
        "made_lab.shared",
        "made_lab.deep",
        "made_lab.deep.loss",
    }


@pytest.mark.parametrize(("file", "counts"), [("deep/loss.py", True), ("__init__.py", True), ("deep/unused.py", False)])
def test_an_edit_of_what_a_method_imports_is_another_method(lab, file, counts):
    def now():
        for cached in (identity._imports, identity._source):
            cached.cache_clear()
        return identity._source(frozenset({"made_lab.run"}))

    before = now()
    assert now() == before
    (lab / file).write_text("x = 2\n")
    assert (now() != before) == counts


def test_device_libraries_and_settings_are_part_of_a_key(monkeypatch):
    def now(device="cpu"):
        return set(keys(METHOD, Config(), "task", device).values())

    before = now()
    assert now() == before
    assert not now("cuda") & before
    with monkeypatch.context() as patch:
        patch.setattr(identity, "_versions", lambda: ("torch 99",))
        assert not now() & before
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision != "medium" else "high")
    try:
        assert not now() & before
        # Said by a driver that does not compute, of workers that do.
        assert set(keys(METHOD, Config(), "task", "cpu", precision).values()) == before
    finally:
        torch.set_float32_matmul_precision(precision)
    assert now() == before


def test_a_key_says_what_it_is_of():
    assert all(key.startswith(f"tiny-{stage}-") for stage, key in keys(METHOD, Config(), "task").items())
