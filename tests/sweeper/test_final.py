import json
import re

import made_corpus
import numpy as np
import pytest
import torch
import trained_model
from safetensors.torch import load_file

from search_spaces.change import apply
from sweeper import final
from trainables import corpus as corpora
from trainables import methods
from trainables.errors import InputError
from trainables.mi_infogan.config import Config
from trainables.protocols import Fold
from trainables.task import Task


def _about(model):
    return json.loads((model / "config.json").read_text(encoding="utf-8"))


def test_a_model_folder_holds_weights_config_and_card(trained):
    assert sorted(path.name for path in trained.model.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    stages = {key.partition("/")[0] for key in load_file(trained.model / "model.safetensors")}
    assert {"align", "augment"} <= stages
    about = _about(trained.model)
    assert about["dims"] == {"audio": 5, "text": 4}
    assert about["columns"] == {"audio": "audio_toy", "text": "text_toy"}
    assert (about["classes"], about["seeds"]) == (["angry", "sad"], [0, 1])


def test_it_trains_on_every_labeled_utterance(trained):
    about = _about(trained.model)
    assert about["trained_on"]["utterances"] == 80
    assert about["trained_on"]["counts"] == {"angry": 40, "sad": 40}


def test_stages_run_for_the_epochs_that_dev_chose_and_generation_for_its_own(trained):
    config = _about(trained.model)["config"]
    assert [config[stage]["epochs"] for stage in ("align", "generate", "augment")] == [12, 2, 2]


def test_the_last_epoch_is_kept_since_there_is_no_dev(trained):
    """Training one epoch less gives other weights: the kept ones are the last epoch's, not the first's."""
    corpus = corpora.load(trained.corpus)
    fold = Fold.for_training(corpus, np.flatnonzero(corpus.labels >= 0))
    task = Task(corpus, (fold,), (0, 1))
    config = apply(Config(), trained_model.SMALL | {"align.epochs": 12, "augment.epochs": 2})
    kept = load_file(trained.model / "model.safetensors")
    again = final.fit(methods.get("mi_infogan"), config, task)
    assert all(torch.equal(kept[f"align/{name}"], tensor) for name, tensor in again["align"].items())
    less = final.fit(methods.get("mi_infogan"), apply(config, {"align.epochs": 11}), task)
    assert not all(torch.equal(kept[f"align/{name}"], tensor) for name, tensor in less["align"].items())


def test_the_same_command_gives_the_same_bytes(trained, tmp_path):
    again = final.train(trained.best, tmp_path / "model")
    for name in ("model.safetensors", "config.json", "README.md"):
        assert (again / name).read_bytes() == (trained.model / name).read_bytes()


def test_other_seeds_are_other_models(trained, tmp_path):
    model = final.train(trained.best, tmp_path / "model", seeds=(5,))
    assert _about(model)["seeds"] == [5]
    one, two = (load_file(each / "model.safetensors")["align/W_y.weight"] for each in (model, trained.model))
    assert one.shape[0] == 1
    assert not any(torch.equal(one[0], other) for other in two)


def test_a_split_trains_on_it_alone(tmp_path):
    corpus = made_corpus.make(tmp_path / "toy", split=True)
    best = trained_model.write_best(tmp_path / "best.yaml", corpus)
    model = final.train(best, tmp_path / "model", split="train")
    assert _about(model)["trained_on"]["utterances"] == 40
    with pytest.raises(InputError, match="no labeled utterance is in it; there is dev, test, train"):
        final.train(best, tmp_path / "other", split="trian")


def test_another_corpus_is_named_in_the_card(trained, tmp_path):
    other = made_corpus.make(tmp_path / "other", each=8)
    model = final.train(trained.best, tmp_path / "model", corpus=str(other))
    card = (model / "README.md").read_text(encoding="utf-8")
    assert "`other`" in card
    assert "not the corpus of the sweep" in card


def test_the_card_says_what_was_measured_and_that_this_model_was_not(trained):
    card = (trained.model / "README.md").read_text(encoding="utf-8")
    for part in (
        "`toy`",
        "80 labeled utterances",
        "| UAR | 0.500 ± 0.100 | 0.500 ± 0.100 |",
        "chosen from 10 arms",
        "itself has not been tested",
        "## Intended use",
        "## Limits",
        "## Licence",
    ):
        assert part in card


def test_flags_of_the_sweep_stay_with_the_model(trained, tmp_path):
    evidence = final.read_best(trained.best)["evidence"] | {"flags": ["generator collapsed"]}
    best = trained_model.write_best(tmp_path / "best.yaml", trained.corpus, evidence=evidence)
    card = (final.train(best, tmp_path / "model") / "README.md").read_text(encoding="utf-8")
    assert "generator collapsed" in card


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"split": "train"}, "--split train: corpus toy defines no splits"),
        ({"corpus": "no/where"}, "no/where"),
    ],
)
def test_what_cannot_be_trained_is_refused(trained, tmp_path, arguments, says):
    with pytest.raises(InputError, match=says):
        final.train(trained.best, tmp_path / "model", **arguments)
    assert not (tmp_path / "model").exists()


def test_a_file_that_is_no_export_is_refused(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("name: x\n", encoding="utf-8")
    with pytest.raises(InputError, match="is no exported configuration, method: is required"):
        final.train(path, tmp_path / "model")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds": "abc"}, "seeds: must be a list, found 'abc'; export it again"),
        ({"seeds": []}, "seeds: "),
        ({"corpus": "builtin"}, "corpus: must be "),
        ({"corpus": {"path": "builtin", "fingerprint": "f", "columns": ["audio"]}}, "corpus.columns: must be"),
        ({"config": "x"}, "config: must be a section"),
        ({"config": {"align": {"alhpa": 1}}}, "config: align.alhpa: no such field; did you mean align.alpha?"),
        ({"config": {"align": {"epochs": 0}}}, "config: align.epochs: must be at least 1, found 0"),
        ({"config": {"align": {"alpha": 1.0}}}, "config: align.encoder: is missing; export it again"),
        ({"evidence": {}}, "evidence.arm: is required"),
        ({"method": "mi_infgan"}, "method: there is no 'mi_infgan'; there is "),
        ({"method_version": 0}, "is of version 0 of mi_infogan, this is version 1"),
    ],
)
def test_a_damaged_export_is_refused_before_anything_is_written(trained, tmp_path, changes, says):
    best = trained_model.write_best(tmp_path / "best.yaml", trained.corpus, **changes)
    with pytest.raises(InputError, match=re.escape(says)) as refused:
        final.train(best, tmp_path / "model")
    assert str(best) in str(refused.value)
    assert not (tmp_path / "model").exists()


def test_a_folder_that_cannot_be_made_is_found_out_before_training(trained, tmp_path):
    def watch(epoch):
        raise AssertionError("trained")

    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="Not a directory"):
        final.train(trained.best, tmp_path / "file" / "model", watch=watch)


def test_a_folder_of_other_things_is_not_written_into(trained, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"holds other files \(thesis\.tex\)"):
        final.train(trained.best, tmp_path)
    with pytest.raises(InputError, match="is a file"):
        final.train(trained.best, tmp_path / "thesis.tex")
