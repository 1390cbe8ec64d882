"""Stage 3 on augmented copies of the recordings: which are drawn, how they are encoded, what they stand beside."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from drawn import Drawn

from trainables.errors import InputError
from trainables.lockstep import Lockstep, Seat
from trainables.mi_infogan import align, augment
from trainables.mi_infogan.added import Copied
from trainables.mi_infogan.config import Align, Augment, Config
from trainables.mi_infogan.data import Data
from trainables.mi_infogan.method import METHOD
from trainables.task import Task

SMALL = Config(
    align=Align(hidden=(8,), feature_dim=5, epochs=2, batch_size=16),
    augment=Augment(source="recordings", epochs=3, batch_size=16, learning_rate=0.01),
)
FORMS = pytest.mark.parametrize("inputs", ["audio", "audio+text"])
#: Utterances without the second copy, and without any.
ONE, NONE = [2, 40, 41], [5, 60]


def changed(**changes):
    return SMALL.model_copy(update={"augment": SMALL.augment.model_copy(update=changes)})


@pytest.fixture(scope="module")
def heard(small_task):
    """The small task with copies: other vectors each, some missing."""
    audio = small_task.corpus.features["audio"]
    noise, speed = audio + np.float32(0.5), audio * np.float32(1.25)
    speed[ONE], noise[NONE], speed[NONE] = np.nan, np.nan, np.nan
    corpus = replace(small_task.corpus, copies={"noise10": noise, "speed0.9": speed}, fingerprint="heard")
    return Task(corpus, small_task.folds, small_task.seeds)


@pytest.fixture(scope="module")
def aligned(heard):
    return {"align": list(align.run(SMALL, heard, {}))[-1].artifact}


class Set(Drawn):
    """Copies on the task, drawn once."""

    def __init__(self, task, artifacts, **changes):
        super().__init__(changed(**changes), task, artifacts)

    def by_hand(self, artifacts, row, name):
        """h of every labeled utterance's copy, from the artifact's tensors alone; shape (N, H)."""
        found, copies = artifacts["align"], self.data.task.corpus.copies[name]
        fold = row // 2
        x = (torch.from_numpy(copies) - found["audio.mean"][fold]) / found["audio.std"][fold]
        x = torch.relu(F.linear(x, found["inner.0.weight"][row], found["inner.0.bias"][row]))
        x = F.linear(x, found["outer.weight"][row], found["outer.bias"][row])
        return F.layer_norm(x, x.shape[-1:], found["norm.weight"][row], found["norm.bias"][row])


@FORMS
def test_every_added_item_is_an_encoded_copy_of_its_utterance(heard, aligned, inputs):
    made = Set(heard, aligned, inputs=inputs)
    batch, pool, corpus = made.inputs.batch(made.everything()), made.pool, made.data.task.corpus
    size = made.frozen.h.shape[-1]
    for row in range(made.data.rows):
        hand = {name: made.by_hand(aligned, row, name) for name in corpus.copies}
        drawn = []
        for place in range(pool.sizes[row]):
            u, h = pool.utterance[row, place], batch[row, place, :size]
            there = [name for name in corpus.copies if np.isfinite(corpus.copies[name][u]).all()]
            same = [name for name in there if torch.allclose(h, hand[name][u], atol=1e-5)]
            if pool.audio[row, place] and there:
                assert len(same) == 1
                drawn += same if len(there) > 1 else []
            else:
                assert torch.equal(h, made.frozen.h[row, u])
        share = drawn.count("noise10") / len(drawn)
        assert 0.3 < share < 0.7, "copies are equally likely"


def test_text_stays_that_of_the_recording(heard, aligned):
    made = Set(heard, aligned, inputs="audio+text")
    batch = made.inputs.batch(made.everything())
    assert not made.pool.text.any()
    for row in range(made.data.rows):
        text = made.data.t[row // 2][made.pool.utterance[row]]
        assert torch.equal(batch[row][:, made.frozen.h.shape[-1] :], text)


@FORMS
@pytest.mark.parametrize("balance", [False, True])
def test_as_many_items_as_generation_adds(heard, inputs, balance):
    pools = []
    for source in ("recordings", "generated"):
        config = changed(source=source, inputs=inputs, balance=balance)
        pools.append(augment.Pool.make(config, Data.of(config, heard)))
    assert pools[0].sizes == pools[1].sizes
    assert torch.equal(pools[0].utterance, pools[1].utterance)
    real = ~pools[0].audio & ~pools[0].text
    assert torch.equal(real, ~pools[1].audio & ~pools[1].text)


def test_held_out_copies_change_nothing_and_those_of_train_do(heard, aligned):
    fold = heard.folds[0]
    one = Task(heard.corpus, (fold,), heard.seeds)
    artifacts = {"align": {name: tensor[: len(tensor) // 3] for name, tensor in aligned["align"].items()}}

    def weights(rows):
        copies = {name: vectors.copy() for name, vectors in heard.corpus.copies.items()}
        for vectors in copies.values():
            vectors[rows] += np.float32(3.0)
        task = replace(one, corpus=replace(one.corpus, copies=copies))
        *_, last = augment.run(SMALL, task, artifacts)
        return last.artifact["0.weight"]

    none = weights(np.array([], dtype=int))
    assert torch.equal(weights(np.r_[fold.dev, fold.test, fold.unlabeled]), none)
    assert not torch.allclose(weights(fold.train), none)


def test_named_copies_alone_are_drawn(heard, aligned):
    whole = Set(heard, aligned)
    for wanted, names in ((("noise",), ["noise10"]), (("speed0.9",), ["speed0.9"]), (None, ["noise10", "speed0.9"])):
        made = Set(heard, aligned, copies=wanted)
        found = made.source.of(made.everything(), made.real(made.pool.utterance))[0]
        utterance = made.pool.utterance[0]
        any_ = torch.zeros(len(utterance), dtype=torch.bool)
        for name in names:
            any_ |= torch.isclose(found[0], made.by_hand(aligned, 0, name)[utterance], atol=1e-5).all(-1)
        gone = np.isnan(np.stack([whole.data.task.corpus.copies[name][:, 0] for name in names])).all(0)
        assert torch.equal(any_, torch.from_numpy(~gone)[utterance])


def test_a_set_is_drawn_once_or_anew_each_epoch(heard, aligned):
    for redraw in (False, True):
        made = Set(heard, aligned, redraw=redraw)
        first = made.inputs.batch(made.everything())
        made.inputs.draw(2)
        assert torch.equal(first, made.inputs.batch(made.everything())) is not redraw


def test_no_generator_is_trained():
    assert [stage.name for stage in METHOD.active(SMALL)] == ["align", "augment"]


@FORMS
def test_resumed_equals_uninterrupted(heard, aligned, inputs):
    config = changed(inputs=inputs, redraw=True)
    whole = list(augment.run(config, heard, aligned))
    rest = list(augment.run(config, heard, aligned, next(augment.run(config, heard, aligned)).state))
    assert all(torch.equal(whole[-1].artifact[k], rest[-1].artifact[k]) for k in whole[-1].artifact)


def test_a_row_does_not_depend_on_its_neighbours(heard, aligned, one_row):
    alone = one_row(heard, 3)
    rows = {
        name: tensor[1:2] if name.startswith("audio.") or name.startswith("text.") else tensor[3:4]
        for name, tensor in aligned["align"].items()
    }
    *_, single = augment.run(changed(redraw=True), alone, {"align": rows})
    *_, together = augment.run(changed(redraw=True), heard, aligned)
    torch.testing.assert_close(single.artifact["0.weight"][0], together.artifact["0.weight"][3], rtol=1e-5, atol=1e-6)


def test_arms_side_by_side_give_their_own_numbers(heard, aligned):
    """Two step sizes in one stack, the first arm an epoch ahead, against each alone."""
    (stage,) = [each for each in METHOD.stages if each.name == "augment"]
    configs = [changed(redraw=True), changed(redraw=True, learning_rate=0.05)]
    ahead = Lockstep(stage, heard, [Seat(configs[0], aligned)])
    ahead.step()
    seats = [Seat(configs[0], aligned, ahead.states()[0]), Seat(configs[1], aligned)]
    both = Lockstep(stage, heard, seats)
    found = [both.step() for _ in range(2)][-1]
    for config, epoch, index in zip(configs, found, (3, 2), strict=True):
        alone = [each for each in augment.run(config, heard, aligned) if each.index <= index][-1]
        np.testing.assert_allclose(epoch.terms["ser"], alone.terms["ser"], rtol=1e-5)
        for key in alone.confusions:
            np.testing.assert_array_equal(epoch.confusions[key], alone.confusions[key])


@pytest.mark.parametrize(
    ("copies", "said"),
    [
        (("pitch2",), r"config\.augment\.copies: corpus small has no audio_made9\+pitch2; its copies are noise10, sp"),
        ((), r"config\.augment\.copies: is empty"),
    ],
)
def test_copies_that_are_not_there_are_refused_before_training(heard, copies, said):
    with pytest.raises(InputError, match=said):
        align.run(changed(copies=copies), heard, {})


def test_a_corpus_without_copies_is_refused_before_training(small_task):
    with pytest.raises(InputError, match=r"needs augmented copies of audio_made9.*sweeper data features"):
        align.run(SMALL, small_task, {})


def test_an_encoder_that_makes_its_own_features_has_no_copies(heard):
    config = changed().model_copy(update={"align": SMALL.align.model_copy(update={"encoder": "some/encoder"})})
    corpus = replace(heard.corpus, columns={**heard.corpus.columns, "audio": "recording"})
    with pytest.raises(InputError, match=r"config\.augment\.source: 'recordings' are stored features.*align\.encoder"):
        align.run(config, replace(heard, corpus=corpus), {})


def test_other_sources_do_not_mind_copies(heard, small_task):
    config = changed(source="noise", copies=("pitch2",), epochs=1)
    artifacts = {"align": list(align.run(config, small_task, {}))[-1].artifact}
    one, other = (next(augment.run(config, task, artifacts)) for task in (small_task, heard))
    assert one.terms["ser"].tolist() == other.terms["ser"].tolist()


def test_copies_are_encoded_without_gradients(heard, aligned):
    made = Set(heard, aligned)
    assert isinstance(made.source, Copied)
    assert not made.inputs.batch(made.everything()).requires_grad
