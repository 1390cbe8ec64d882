"""Networks of table 3: shapes, reversed target, padding, learning, stacking."""

import pytest
import torch
from torch import nn

from trainables.distribution_matching.autoencoders import VectorAutoEncoder, make
from trainables.distribution_matching.config import Network
from trainables.distribution_matching.model import Model
from trainables.distribution_matching.sequences import CONVOLUTIONS, Convolution, SequenceAutoEncoder
from trainables.stacking import Stack, map_rows

SMALL = (Convolution(4, 2, 4), Convolution(4, 3, 3))


class Whole(nn.Module):
    """Encoder and decoder in one, for stacking."""

    def __init__(self):
        super().__init__()
        self.dae = SequenceAutoEncoder(9, 8, SMALL, (16,), 6)

    def forward(self, x):
        return self.dae.decode(self.dae.encode(x))


def sequences(count=6, steps=9, dim=8, seed=0):
    x = torch.randn(count, steps, dim, generator=torch.Generator().manual_seed(seed))
    x[0, 5:] = 0
    return x


def sizes(layers):
    return [(each.in_features, each.out_features) for each in layers if isinstance(each, nn.Linear)]


def test_the_acoustic_auto_encoder_is_table_3():
    dae = make("audio", (1582,), Network())
    assert sizes(dae.encoder) == [(1582, 512), (512, 256), (256, 128)]
    assert sizes(dae.decoder) == [(128, 256), (256, 512), (512, 1582)]


@pytest.mark.parametrize(
    ("modality", "shape", "flat", "widths"),
    [("video", (18, 342), (32, 2, 29), [1856, 128]), ("text", (22, 1024), (4, 4, 171), [2736, 512, 128])],
)
def test_the_sequence_auto_encoders_are_table_3(modality, shape, flat, widths):
    with torch.device("meta"):
        dae = make(modality, shape, Network())
        z = dae.encode(torch.zeros(2, *shape))
        rebuilt = dae.decode(z)
    assert dae._shape == flat
    assert [wide for wide, _ in sizes(dae.inner)] + [128] == widths
    assert (z.shape, rebuilt.shape) == ((2, 128), (2, *shape))
    found = [(each.kernel_size[0], each.stride[0], each.padding[0], each.out_channels) for each in dae.down]
    assert found == [(k, s, 1, c) for k, s, c in CONVOLUTIONS[modality][0]]


@pytest.mark.parametrize("shape", [(9, 8), (22, 30), (18, 31), (7, 10)])
@pytest.mark.parametrize("modality", ["text", "video", "audio"])
def test_what_comes_back_is_as_long_as_what_went_in(modality, shape):
    if modality == "video" and min(shape) < 9:
        pytest.skip("three strided convolutions need more steps")
    dae = make(modality, shape, Network(latent_dim=7))
    x = torch.randn(3, *shape)
    assert dae.encode(x).shape == (3, 7)
    assert dae.decode(dae.encode(x)).shape == x.shape


def test_a_vector_takes_the_linear_form_and_a_sequence_the_other():
    assert isinstance(make("text", (20,), Network()), VectorAutoEncoder)
    assert isinstance(make("text", (9, 8), Network()), SequenceAutoEncoder)


def test_the_target_of_a_sequence_is_its_reverse():
    x = sequences()
    target = SequenceAutoEncoder(9, 8, SMALL, (), 6).target(x)
    assert all(torch.equal(target[:, step], x[:, 8 - step]) for step in range(9))
    assert torch.equal(VectorAutoEncoder(4, (3,), 2).target(x), x)


def test_padding_is_attended_to_by_nobody():
    """What a real step makes of its neighbours does not depend on how much padding follows."""
    torch.manual_seed(0)
    dae = SequenceAutoEncoder(9, 8, SMALL, (16,), 6)
    seen = []
    dae.attend[-1].register_forward_hook(lambda *given: seen.append(given[-1][0, :5]))
    x = sequences(1)
    dae.encode(x)
    short = SequenceAutoEncoder(7, 8, SMALL, (16,), 6)
    short.attend.load_state_dict(dae.attend.state_dict())
    short.attend[-1].register_forward_hook(lambda *given: seen.append(given[-1][0, :5]))
    short.encode(x[:, :7])
    assert torch.allclose(seen[0], seen[1], atol=1e-5)


def test_a_sequence_of_padding_alone_is_finite():
    model = Whole()
    x = torch.zeros(2, 9, 8)
    out = model(x)
    assert torch.isfinite(out).all()
    gradients = torch.autograd.grad(out.square().mean(), list(model.parameters()))
    assert all(torch.isfinite(each).all() for each in gradients)


def test_stacked_sequence_auto_encoders_equal_single_ones():
    stack, x = Stack(Whole, [1, 2]).train(), torch.stack([sequences(seed=3), sequences(seed=4)])
    together = stack.apply(x)
    gradients = torch.autograd.grad(together.square().mean((1, 2, 3)).sum(), list(stack.params.values()))
    for row, seed in enumerate((1, 2)):
        torch.manual_seed(seed)
        alone = Whole()
        out = alone(x[row])
        assert torch.allclose(together[row], out, atol=1e-5)
        single = torch.autograd.grad(out.square().mean(), list(alone.parameters()))
        for name, one, other in zip(stack.params, gradients, single, strict=True):
            assert one[row].abs().max() > 0, name
            assert torch.allclose(one[row], other, atol=1e-5), name


def test_a_sequence_auto_encoder_learns_to_reverse():
    torch.manual_seed(0)
    basis = torch.randn(2, 9, 8)
    x = torch.einsum("nk,ktd->ntd", torch.randn(64, 2), basis)
    model = Whole()
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(200):
        loss = (model(x) - model.dae.target(x)).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * x.square().mean().item() < losses[0]


def test_a_vector_auto_encoder_learns_to_rebuild():
    torch.manual_seed(0)
    x = torch.randn(128, 3) @ torch.randn(3, 12)
    dae = VectorAutoEncoder(12, (16, 8), 3)
    adam = torch.optim.Adam(dae.parameters(), lr=1e-2)
    for _ in range(200):
        loss = (dae.decode(dae.encode(x)) - x).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss < 0.2 * x.var()


def test_a_model_takes_vectors_and_sequences_side_by_side():
    shapes = {"audio": (5,), "text": (9, 8)}
    stack = Stack(lambda: Model(shapes, Network(hidden=(6,), latent_dim=4), 3), [0, 1])
    x = {"audio": torch.randn(2, 7, 5), "text": torch.randn(2, 7, 9, 8)}
    present = {name: torch.ones(2, 7, dtype=torch.bool) for name in x}
    present["text"][:, 2] = False

    def whole(params, x, present):
        return torch.func.functional_call(stack.module, params, (x, present, {}, True))

    logits, z, rebuilt = map_rows(whole, stack.params, x, present)
    assert logits.shape == (2, 7, 3)
    assert rebuilt["text"].shape == x["text"].shape
    assert (z["text"][:, 2] == 0).all()
    assert (z["text"][:, 3] != 0).any()
