import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from trainables.cm_arr import fusion, recovery, train, uncertainty
from trainables.cm_arr.config import Train
from trainables.cm_arr.model import Model
from trainables.stacking import map_rows

TINY = {"tokens": 3, "channels": 8, "heads": 2, "transforms": 2, "flow_hidden": (5,), "blocks": 2}
DIMS = {"audio": 5, "text": 7, "video": 4}


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def model(dims=DIMS, seed=0, **changes):
    torch.manual_seed(seed)
    return Model(Train(**{**TINY, **changes}), dims, 3)


def inputs(count=6, dims=DIMS, conditions=None):
    available = torch.ones(1, count, len(dims), dtype=torch.bool) if conditions is None else conditions
    return {"x": {name: numbers(count, dim, seed=dim) for name, dim in dims.items()}, "available": available}


def only(count, *places):
    """Available is what these conditions name, one list of modalities each."""
    table = torch.zeros(len(places), count, 3, dtype=torch.bool)
    for condition, there in enumerate(places):
        table[condition][:, there] = True
    return table


def test_attention_is_torchs():
    torch.manual_seed(0)
    own, theirs = fusion.Attention(8, 2), nn.MultiheadAttention(8, 2, batch_first=True)
    with torch.no_grad():
        parts = (own.query, own.key, own.value)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(own.out.state_dict())
    query, other = numbers(4, 3, 8), numbers(4, 5, 8, seed=1)
    assert torch.allclose(own(query, other), theirs(query, other, other)[0], atol=1e-6)


def test_the_uncertainty_module_is_figure_3():
    torch.manual_seed(0)
    umc, tokens = uncertainty.Uncertainty(Train(**TINY)), numbers(4, 3, 8)
    found = {}
    for name in ("mean", "deviation"):
        branch = getattr(umc, name)
        seen = tokens + branch.attention(tokens, tokens)
        h = F.layer_norm(seen, (8,))
        first, _, second = branch.mlp
        found[name] = h, F.linear(F.gelu(F.linear(h, first.weight, first.bias)), second.weight, second.bias)
    mean, deviation = umc(tokens)
    assert torch.allclose(mean, sum(found["mean"]), atol=1e-6)
    assert torch.allclose(deviation, torch.log(1 + torch.exp(found["deviation"][1])), atol=1e-6)
    assert (deviation > 0).all()


def test_a_sample_has_the_gaussians_mean_and_deviation():
    torch.manual_seed(0)
    encoder, x = uncertainty.Encoder(Train(**TINY), 5), numbers(4, 5)
    mean, deviation, plain = encoder(x, None, None)
    noise = numbers(4, 3, 8, seed=3)
    drawn = encoder(x, None, noise)[2]
    assert torch.allclose(plain, encoder.project(mean.mT).mT)
    assert torch.allclose(drawn, encoder.project((mean + deviation * noise).mT).mT)


def test_points_have_no_deviation_and_plain_tokens_no_module():
    for kind, modules in (("point", 1), ("plain", 0)):
        encoder = uncertainty.Encoder(Train(**TINY, representation=kind), 5)
        assert sum(isinstance(each, uncertainty.Branch) for each in encoder.modules()) == modules
        assert (encoder(numbers(4, 5), None, None)[1] == 0).all()


def test_the_recovery_block_weighs_channels_by_their_mean_over_tokens():
    torch.manual_seed(0)
    block, x = recovery.ChannelAttentionBlock(8, True), numbers(4, 3, 8)
    first, _, second = block.convolutions
    narrow, _, wide, _ = block.gate
    change = second(F.relu(first(x.mT))).mT
    gate = torch.sigmoid(wide(F.relu(narrow(change.mean(1)))))
    assert gate.shape == (4, 8)
    assert torch.allclose(block(x), x + change * gate[:, None], atol=1e-6)
    plain = recovery.ChannelAttentionBlock(8, False)
    plain.convolutions.load_state_dict(block.convolutions.state_dict())
    assert torch.allclose(plain(x), x + change, atol=1e-6)


@pytest.mark.parametrize("flow", ["affine", "spline"])
def test_the_inverse_flow_brings_x_back_and_the_likelihood_is_zukos(flow):
    torch.manual_seed(0)
    each, x = recovery.FlowRecovery(Train(**TINY, flow=flow)), numbers(6, 3, 8)
    z, log_determinant = each.latent(x)
    assert not torch.allclose(z, x.flatten(-2), atol=0.01)
    assert torch.allclose(each.inverse(z), x, atol=1e-4)
    expected = -each.flow().log_prob(x.flatten(-2)) / 24
    assert torch.allclose(recovery.negative_log_likelihood(z, log_determinant), expected, atol=1e-5)


def test_the_log_determinant_is_that_of_the_jacobian():
    torch.manual_seed(0)
    each = recovery.FlowRecovery(Train(**TINY))
    x = numbers(1, 3, 8)
    jacobian = torch.autograd.functional.jacobian(lambda v: each.latent(v)[0][0], x).reshape(24, 24)
    assert each.latent(x)[1].item() == pytest.approx(torch.linalg.slogdet(jacobian)[1].item(), abs=1e-4)


def test_every_value_of_x_is_transformed():
    """Couplings leave half of the values to the next one: two reach all."""
    torch.manual_seed(0)
    each, x = recovery.FlowRecovery(Train(**{**TINY, "flow_hidden": (64,)})), numbers(1, 3, 8)
    jacobian = torch.autograd.functional.jacobian(lambda v: each.latent(v)[0][0], x).reshape(24, 24)
    assert ((jacobian - torch.diag(jacobian.diagonal())).abs().sum(1) > 0).all()


def test_the_estimate_is_the_mean_of_what_is_available():
    z = numbers(4, 3, 5)
    available = torch.tensor([[True, True, False], [False, False, True], [True, True, True], [False, False, False]])
    found = recovery.estimate(z, available)
    assert torch.allclose(found[0], (z[0, 0] + z[0, 1]) / 2)  # eq. 7
    assert torch.equal(found[1], z[1, 2])  # with one left, a copy
    assert torch.allclose(found[2], z[2].mean(0))
    assert torch.equal(found[3], torch.zeros(5))


def test_masks_of_the_flows_are_the_same_in_every_copy():
    """A stack keeps the buffers of its first copy only."""
    for flow in ("affine", "spline"):
        first, second = (dict(model(seed=seed, flow=flow).named_buffers()) for seed in (0, 1))
        assert first
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_available_modalities_are_used_and_missing_ones_recovered_from_them():
    net, batch = model(), inputs(conditions=only(6, [0, 2], [1], [0, 1, 2]))
    out = net(batch)
    assert out["logits"].shape == (3, 6, 3)
    assert torch.equal(out["used"][0][:, [0, 2]], out["x"][:, [0, 2]])
    z = (net.recovery["audio"].latent(out["x"][:, 0])[0] + net.recovery["video"].latent(out["x"][:, 2])[0]) / 2
    assert torch.allclose(out["used"][0][:, 1], net.recovery["text"](z), atol=1e-5)
    assert torch.equal(out["used"][2], out["x"])


@pytest.mark.parametrize(("kind", "value"), [("zeros", 0.0), ("token", 0.5)])
def test_controls_put_a_fixed_vector_in_the_place(kind, value):
    net, batch = model(recovery=kind), inputs(conditions=only(6, [0]))
    if kind == "token":
        with torch.no_grad():
            net.recovery["text"].token.fill_(value)
    out = net(batch)
    assert (out["used"][0][:, 1] == value).all()
    assert torch.equal(out["used"][0][:, 0], out["x"][:, 0])
    assert not any("flow" in name for name, _ in net.named_parameters())


@pytest.mark.parametrize("kind", ["flow", "zeros", "token"])
def test_a_missing_modality_is_never_read(kind):
    net = model(recovery=kind)
    batch = inputs(conditions=only(6, [0], [0, 2]))
    clean = net(batch)["logits"]
    batch["x"]["text"] = torch.full_like(batch["x"]["text"], torch.nan)
    poisoned = net(batch)["logits"]
    assert torch.isfinite(poisoned).all()
    assert torch.equal(clean, poisoned)


def test_fusion_is_equations_10_to_13_for_every_query():
    torch.manual_seed(0)
    config = Train(**TINY)
    net, parts = fusion.Fusion(config, 3, 4), numbers(5, 3, 3, 8)
    assert len(net.cross) == 6
    crossed = [net.cross[k](parts[:, n], parts[:, m]) for k, (n, m) in enumerate(net.pairs)]
    assert {(n, m) for n, m in net.pairs} == {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)}
    joined = torch.cat(crossed, 1)
    h = net.self_attention(joined, joined)
    assert torch.allclose(net(parts), net.classifier(h.flatten(1)), atol=1e-6)


def test_stopped_recovery_leaves_the_encoders_alone_and_the_printed_one_moves_them():
    for where, moved in (("both", False), ("target", True), ("none", True)):
        net = model(stop_gradient=where)
        out = net(inputs(conditions=only(6, [0])))
        hidden = torch.tensor([[False, True, True]]).expand(6, 3)
        loss = train.recovery(net.config, out["recovered"][0], out["x"], hidden)
        own = dict(net.named_parameters())
        grads = dict(zip(own, torch.autograd.grad(loss, list(own.values()), allow_unused=True), strict=True))
        reached = [grads[name] is not None for name in own if name.startswith("encoders.audio")]
        assert any(reached) == moved, where
        assert all(grads[name] is not None for name in own if name.startswith("recovery.text")), where


@pytest.mark.parametrize("flow", ["affine", "spline"])
def test_stacked_gradients_are_those_of_the_single_models(flow):
    config = Train(**TINY, flow=flow)
    stack = train.build(config, DIMS, 3, [1, 2])
    batch = inputs(conditions=only(6, [0], [1, 2]))
    stacked = {"x": {k: v.expand(2, *v.shape) for k, v in batch["x"].items()}}
    stacked["available"] = batch["available"].expand(2, *batch["available"].shape)
    params = {name: tensor.requires_grad_() for name, tensor in stack.params.items()}
    together = map_rows(lambda p, b: stack.call(p, b)["logits"].square().sum(), params, stacked).sum()
    grads = torch.autograd.grad(together, list(params.values()), allow_unused=True)
    for row in range(2):
        own = {name: tensor[row].detach().requires_grad_() for name, tensor in params.items()}
        alone = functional_call(stack.module, own, (batch,))["logits"].square().sum()
        single = torch.autograd.grad(alone, list(own.values()), allow_unused=True)
        for name, both, one in zip(own, grads, single, strict=True):
            assert (both is None) == (one is None), name
            if one is not None:
                assert torch.allclose(both[row], one, atol=1e-3, rtol=1e-3), name


def test_channels_must_divide():
    with pytest.raises(ValueError, match="channels: 12 is no multiple of heads"):
        Train(channels=12, heads=8)
    with pytest.raises(ValueError, match="drawn: point has no Gaussian"):
        Train(representation="point", drawn=True)


def test_each_subset_is_left_equally_often():
    present = torch.ones(7000, 3, dtype=torch.bool)
    left = train.left_available(Train(), present, torch.linspace(0, 1, 7000))
    code = (left * torch.tensor([1, 2, 4])).sum(1)
    assert torch.bincount(code).tolist()[1:] == pytest.approx([1000] * 7, abs=2)
    assert torch.bincount(code)[0] == 0


def test_what_an_utterance_lacks_is_never_left_and_something_always_is():
    present = torch.tensor([[True, False, False], [True, True, False]]).repeat_interleave(500, 0)
    left = train.left_available(Train(), present, torch.linspace(0, 1, 500).repeat(2))
    assert not (left & ~present).any()
    assert left.any(1).all()
    assert torch.equal(train.left_available(Train(missing="none"), present, torch.zeros(1000)), present)


def test_conditions_are_every_subset_and_leave_out_what_is_missing():
    present = torch.tensor([[True, True, True], [False, True, True]])
    table = train.under_conditions(("audio", "text", "video"), present)
    assert table.shape == (2, 7, 3)
    assert table[0].int().tolist() == [
        [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1],
    ]  # fmt: skip
    assert not table[1, :, 0].any()
