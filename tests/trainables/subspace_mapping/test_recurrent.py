"""The loop over lanes gives what torch's own encoders give for each dialogue alone."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from trainables.subspace_mapping.dialogues import Lanes
from trainables.subspace_mapping.recurrent import Recurrent

SIZE = 6
LENGTHS = (3, 7, 1, 4, 5)
KINDS = ("bigru", "bilstm", "gru")


def torchs(kind, ours, modality):
    """torch's encoder with the weights of one modality of ours."""
    directions = ours.directions
    encoder = (nn.LSTM if kind == "bilstm" else nn.GRU)(
        SIZE, SIZE // directions, batch_first=True, bidirectional=directions == 2
    )
    for direction in range(directions):
        group, suffix = modality * directions + direction, "_reverse" * direction
        for name, theirs in (("weight_x", "weight_ih"), ("weight_h", "weight_hh")):
            getattr(encoder, f"{theirs}_l0{suffix}").data = getattr(ours, name).data[group].T.contiguous()
        for name, theirs in (("bias_x", "bias_ih"), ("bias_h", "bias_hh")):
            getattr(encoder, f"{theirs}_l0{suffix}").data = getattr(ours, name).data[group, 0].clone()
    return encoder


def packed(encoder, dialogues):
    """torch's packed sequences: one output a dialogue."""
    padded = nn.utils.rnn.pad_sequence(dialogues, batch_first=True)
    lengths = torch.tensor([len(each) for each in dialogues])
    read, _ = encoder(pack_padded_sequence(padded, lengths, batch_first=True, enforce_sorted=False))
    outputs, _ = pad_packed_sequence(read, batch_first=True)
    return [outputs[number, :length] for number, length in enumerate(lengths)]


def made(kind):
    """Two modalities of 20 utterances in 5 dialogues, and an encoder of both."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, x = Recurrent(2, SIZE, kind), torch.randn(2, sum(LENGTHS), SIZE)
    dialogues = np.split(np.arange(sum(LENGTHS)), np.cumsum(LENGTHS)[:-1])
    return encoder, x, dialogues


def read(encoder, x, present, lanes):
    """Our outputs by utterance, shape (2, 20, SIZE)."""
    index, valid = lanes.index[0], lanes.valid[0]
    found = encoder([each[index] for each in x], [each[index] & valid for each in present], lanes.dialogue[0])
    whole = torch.zeros_like(x)
    for modality, values in enumerate(found):
        whole[modality][index[valid]] = values[valid]
    return whole


@pytest.mark.parametrize("kind", KINDS)
def test_lanes_equal_torchs_packed_sequences(kind):
    encoder, x, dialogues = made(kind)
    whole = read(encoder, x, torch.ones(2, 20, dtype=torch.bool), Lanes.pack([dialogues]))
    for modality in range(2):
        expected = torch.cat(packed(torchs(kind, encoder, modality), [x[modality, each] for each in dialogues]))
        assert torch.allclose(whole[modality], expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_equal_those_of_torchs_packed_sequences(kind):
    encoder, x, dialogues = made(kind)
    goal = torch.randn(2, 20, SIZE, generator=torch.Generator().manual_seed(1))
    whole = read(encoder, x, torch.ones(2, 20, dtype=torch.bool), Lanes.pack([dialogues]))
    (whole - goal).square().sum().backward()
    for modality in range(2):
        theirs = torchs(kind, encoder, modality)
        outputs = torch.cat(packed(theirs, [x[modality, each] for each in dialogues]))
        (outputs - goal[modality]).square().sum().backward()
        group = modality * encoder.directions
        assert torch.allclose(encoder.weight_h.grad[group], theirs.weight_hh_l0.grad.T, atol=1e-4)
        assert torch.allclose(encoder.weight_x.grad[group], theirs.weight_ih_l0.grad.T, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_an_utterance_without_the_modality_is_skipped(kind):
    """As if the others followed each other directly; what stands in its place is not read."""
    encoder, x, dialogues = made(kind)
    present = torch.ones(2, 20, dtype=torch.bool)
    present[1, [0, 4, 5, 9, 19]] = False
    x[1, [0, 4, 5, 9, 19]] = 1e6
    whole = read(encoder, x, present, Lanes.pack([dialogues]))
    for modality in range(2):
        kept = [each[present[modality, each].numpy()] for each in dialogues]
        expected = packed(torchs(kind, encoder, modality), [x[modality, each] for each in kept if len(each)])
        where = np.concatenate(kept)
        assert torch.allclose(whole[modality, where], torch.cat(expected), atol=1e-6)


@pytest.mark.parametrize("lanes", [1, 3])
def test_how_lanes_are_packed_changes_nothing(lanes):
    encoder, x, dialogues = made("bigru")
    present = torch.ones(2, 20, dtype=torch.bool)
    alone = torch.cat([read(encoder, x, present, Lanes.pack([[each]]))[:, each] for each in dialogues], 1)
    longer = Lanes.pack([dialogues[::-1], [np.arange(20)] * lanes])  # another row makes the lanes longer and more
    assert torch.allclose(read(encoder, x, present, longer), alone, atol=1e-6)
