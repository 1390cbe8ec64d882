"""The method written a second time, from the paper and for one fold and seed, gives the numbers that ours gives."""

import agreement
import pytest
from executors import one_by_one
from plain.arm import train_arm
from plain.folds import prepare

from search_spaces.change import apply
from trainables import corpus, methods
from trainables.protocols import Protocol, cut
from trainables.task import Task

SMALL = {
    "align.hidden": (32,),
    "align.batch_size": 64,
    "align.epochs": 4,
    "align.feature_dim": 12,
    "generate.noise_dim": 5,
    "generate.learning_rate": 1e-3,
    "generate.batch_size": 64,
    "generate.epochs": 3,
    "augment.learning_rate": 1e-3,
    "augment.batch_size": 64,
    "augment.epochs": 3,
}
CONFIGS = {
    "paper": {},
    "other weights": {
        "align.alpha": 5.0,
        "align.beta": 0.2,
        "align.temperature": 0.4,
        "generate.lambda_y": 3.0,
        "generate.lambda_t": 0.1,
    },
    "no alignment": {"align.alpha": 0.0, "align.beta": 0.0},
    "no text": {"align.alpha": 0.0, "align.beta": 0.0, "generate.text": False, "generate.lambda_t": 0.0},
    "no information": {"generate.lambda_y": 0.0, "generate.lambda_t": 0.0},
    "baseline": {"augment.source": "none"},
    "real": {"augment.source": "real"},
    "noise": {"augment.source": "noise"},
    "mixup of real": {"augment.source": "mixup"},
    "cGAN": {"generate.conditional": True, "generate.text": False, "generate.lambda_y": 0.0, "generate.lambda_t": 0.0},
    "no mixup": {"generate.mixup": 0.0},
    "no dropout, unweighted": {
        "align.dropout": 0.0,
        "align.class_weights": False,
        "augment.class_weights": False,
        "align.weight_decay": 0.0,
    },
    "deeper, dropout at the end": {
        "align.hidden": (24, 16),
        "generate.depth": 2,
        "generate.width": 20,
        "generate.discriminator_depth": 2,
        "augment.dropout": 0.3,
    },
}


@pytest.fixture(scope="module")
def task():
    """Two folds of different size of the built-in corpus, with missing modalities and unlabeled utterances."""
    data = corpus.load("builtin")
    folds, _ = cut(data, Protocol(kind="leave-one-session-out"))
    return Task(data, folds[:2], (0, 3))


@pytest.fixture(scope="module")
def parts(task):
    return [fold.part() for fold in prepare(task.corpus, task.folds, SMALL["align.feature_dim"])]


@pytest.fixture(scope="module")
def paper(task):
    return one_by_one([arm({})], methods.get("mi_infogan"), task)


def arm(changes, **epochs):
    config = apply(methods.get("mi_infogan").config(), SMALL | changes)
    active = methods.get("mi_infogan").active(config)
    asked = epochs or {stage.name: stage.epochs(config) for stage in active}
    return {"arm": "a", "config": config.model_dump(mode="json"), "epochs": asked}


def both(task, parts, one):
    ours = one_by_one([one], methods.get("mi_infogan"), task)
    return ours, [train_arm(one, parts, task.seeds)]


@pytest.mark.slow
@pytest.mark.parametrize("changes", CONFIGS.values(), ids=CONFIGS)
def test_equal_curves_and_counts(task, parts, changes):
    ours, plain = both(task, parts, arm(changes))
    found = agreement.compare(ours, plain)
    assert not found["void"]
    # Sums in another order may turn a single utterance over, on another machine.
    assert found["equal"] >= 0.75
    assert found["rows"] == 4 * len(ours[0]["stages"])
    assert [stage["epoch"] for stage in plain[0]["stages"].values()] == [
        stage["epoch"] for stage in ours[0]["stages"].values()
    ]


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [{"align": 2}, {"align": 4, "generate": 3, "augment": 1}])
def test_an_arm_stopped_early(task, parts, epochs):
    ours, plain = both(task, parts, arm({}, **epochs))
    found = agreement.compare(ours, plain)
    assert not found["void"]
    assert found["equal"] >= 0.75
    assert list(plain[0]["stages"]) == [name for name in epochs if name != "generate"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [{"align.temperature": 0.9}, {"align.dropout": 0.2}, {"generate.lambda_y": 9.0}, {"align.weight_decay": 5.0}],
    ids=str,
)
def test_another_setting_is_not_the_same(paper, task, parts, changes):
    other = train_arm(arm(changes), parts, task.seeds)
    assert agreement.compare(paper, [other])["equal"] < 0.75


def test_what_no_arm_of_the_study_uses_is_refused(task, parts):
    with pytest.raises(ValueError, match=r"augment\.inputs, augment\.balance"):
        train_arm(arm({"augment.inputs": "audio+text", "augment.balance": True}), parts, task.seeds)
