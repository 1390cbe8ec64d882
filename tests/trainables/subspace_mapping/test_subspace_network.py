"""The network for one row: attention against torch's, dialogues apart, context within, missing modalities unread."""

import numpy as np
import pytest
import torch
from torch import nn

from trainables.subspace_mapping.attention import Attention
from trainables.subspace_mapping.config import Fuse
from trainables.subspace_mapping.dialogues import Lanes
from trainables.subspace_mapping.model import Network, dropped

DIMS = {"audio": 5, "text": 3}
DIALOGUES = [np.arange(0, 4), np.arange(4, 5), np.arange(5, 12), np.arange(12, 15)]


def features(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(15, dim, generator=generator) for name, dim in DIMS.items()}


def everywhere():
    return {name: torch.ones(15, dtype=torch.bool) for name in DIMS}


def network(**settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network(Fuse(hidden=8, heads=2, **settings), DIMS, 3)


def read(model, x, present, dialogues):
    """Every output by utterance, as the network gives it for these dialogues packed together."""
    lanes = Lanes.pack([dialogues])
    index, valid = lanes.index[0], lanes.valid[0]
    with torch.no_grad():
        found = model(
            {name: x[name][index] for name in model.modalities},
            {name: present[name][index] & valid for name in model.modalities},
            lanes.dialogue[0],
        )
    whole = {name: torch.zeros(15, each.shape[-1]) for name, each in found.items()}
    for name, each in found.items():
        whole[name][index[valid]] = each[valid]
    return whole


def test_attention_is_torchs():
    ours, torchs = Attention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    torchs.in_proj_weight.data = torch.cat([ours.P_q.weight, ours.P_k.weight, ours.P_v.weight]).data
    torchs.in_proj_bias.data = torch.cat([ours.P_q.bias, ours.P_k.bias, ours.P_v.bias]).data
    torchs.out_proj.load_state_dict(ours.out.state_dict())
    target, source = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    allowed = torch.rand(3, 5, 5, generator=torch.Generator().manual_seed(1)) < 0.6
    allowed |= torch.eye(5, dtype=torch.bool)
    expected, _ = torchs(target, source, source, attn_mask=~allowed.repeat_interleave(2, 0))
    assert torch.allclose(ours(target, source, allowed), expected, atol=1e-6)


def test_attention_to_nothing_is_zero():
    x, allowed = torch.randn(1, 3, 8), torch.ones(1, 3, 3, dtype=torch.bool)
    allowed[0, 1] = False
    seen = Attention(8, 2)(x, x, allowed)
    assert (seen[0, 1] == 0).all()
    assert (seen[0, 0] != 0).any()


@pytest.mark.parametrize("encoder", ["bigru", "bilstm", "gru", "none"])
def test_a_dialogue_is_read_alike_alone_and_beside_others(encoder):
    model, x = network(encoder=encoder), features()
    together = read(model, x, everywhere(), DIALOGUES)
    for dialogue in DIALOGUES:
        alone = read(model, x, everywhere(), [dialogue])
        for name in alone:
            assert torch.allclose(together[name][dialogue], alone[name][dialogue], atol=1e-6), name


def test_other_turns_of_the_dialogue_are_context_and_other_dialogues_are_not():
    model, x = network(), features()
    other = {name: each.clone() for name, each in x.items()}
    for name in other:
        other[name][6] += 1.0
    before, after = (read(model, each, everywhere(), DIALOGUES)["logits"] for each in (x, other))
    changed = (before - after).abs().max(1).values > 1e-6
    assert changed.tolist() == [5 <= utterance < 12 for utterance in range(15)]


def test_a_one_directional_encoder_without_attention_sees_the_past_only():
    model, x = network(encoder="gru", self_attention=False, subspace=False), features()
    other = {name: each.clone() for name, each in x.items()}
    for name in other:
        other[name][8] += 1.0
    before, after = (read(model, each, everywhere(), DIALOGUES)["logits"] for each in (x, other))
    changed = (before - after).abs().max(1).values > 1e-6
    assert changed.tolist() == [8 <= utterance < 12 for utterance in range(15)]


def test_order_matters_to_the_encoder_and_not_to_attention():
    x, backwards = features(), [each[::-1] for each in DIALOGUES]
    for encoder, same in (("bigru", False), ("none", True)):
        model = network(encoder=encoder)
        plain, reverse = (read(model, x, everywhere(), order)["logits"] for order in (DIALOGUES, backwards))
        assert torch.allclose(plain, reverse, atol=1e-6) == same


def test_a_missing_modality_is_zero_and_is_not_read():
    model, x, present = network(), features(), everywhere()
    present["audio"][[1, 4, 7]] = False
    poisoned = {**x, "audio": x["audio"].clone()}
    poisoned["audio"][[1, 4, 7]] = 1e4
    plain, other = (read(model, each, present, DIALOGUES) for each in (x, poisoned))
    for kind in ("logits", "logits audio", "logits text", "U text", "unique text"):
        assert torch.equal(plain[kind], other[kind]), kind
    for kind in ("U", "public", "unique"):
        assert (plain[f"{kind} audio"][[1, 4, 7]] == 0).all()
        assert (plain[f"{kind} text"][[1, 4, 7]] != 0).any(1).all()
    assert torch.isfinite(plain["logits"]).all()


def test_a_dialogue_without_a_modality_is_classified_by_the_other():
    model, x, present = network(), features(), everywhere()
    present["text"][:] = False
    logits = read(model, x, present, DIALOGUES)["logits"]
    assert torch.isfinite(logits).all()
    assert logits.std(0).min() > 0


def test_public_encoder_is_shared_and_unique_ones_are_not():
    """Eq. 4, applied to U."""
    model = network()
    found = read(model, features(), everywhere(), DIALOGUES)
    for name in DIMS:
        U = found[f"U {name}"]
        assert torch.allclose(found[f"public {name}"], torch.tanh(model.E_pub(U)), atol=1e-6)
        assert torch.allclose(found[f"unique {name}"], torch.tanh(model.E_uni[name](U)), atol=1e-6)
        rebuilt = model.D[name](found[f"public {name}"] + found[f"unique {name}"])
        assert torch.allclose(found[f"rebuilt {name}"], rebuilt, atol=1e-6)
        assert torch.allclose(found[f"again {name}"], torch.tanh(model.E_uni[name](rebuilt)), atol=1e-6)


def test_what_is_classified():
    """[F_a_to_t, F_t_to_a, public a, public t]; the unique ones in place of F; U without subspaces."""
    for settings, size in (({}, 4), ({"cross_attention": False}, 4), ({"subspace": False}, 2)):
        assert network(**settings).W.in_features == 8 * size
    model = network(cross_attention=False)
    found = read(model, features(), everywhere(), DIALOGUES)
    parts = ("unique audio", "unique text", "public audio", "public text")
    assert torch.allclose(found["logits"], model.W(torch.cat([found[name] for name in parts], 1)), atol=1e-6)
    model = network(subspace=False)
    found = read(model, features(), everywhere(), DIALOGUES)
    assert torch.allclose(found["logits"], model.W(torch.cat([found["U audio"], found["U text"]], 1)), atol=1e-6)


def test_dropout_follows_every_attention():
    assert dropped(Fuse(), 2) == 4
    assert dropped(Fuse(cross_attention=False), 2) == 2
    assert dropped(Fuse(subspace=False), 2) == 2
    assert dropped(Fuse(self_attention=False), 2) == 2
    assert dropped(Fuse(), 1) == 1
    model, lanes = network(), Lanes.pack([DIALOGUES])
    index, valid = lanes.index[0], lanes.valid[0]
    inputs = [
        {name: each[index] for name, each in features().items()},
        dict.fromkeys(DIMS, valid),
        lanes.dialogue[0],
    ]
    for part in range(4):
        keep = torch.ones(*index.shape, 4 * 8)
        plain = model(*inputs, keep)["logits"]
        assert torch.allclose(plain, model(*inputs)["logits"])
        keep[..., part * 8 : part * 8 + 8] = 0
        assert not torch.allclose(plain, model(*inputs, keep)["logits"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 10, "heads": 4}, "10 cannot be shared by 4 heads"),
        ({"hidden": 9, "heads": 3}, "9 cannot be halved"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Fuse(**settings)
