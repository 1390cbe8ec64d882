"""LoRA (Hu et al. 2022) by peft: low-rank matrices beside frozen linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from trainables.epoch import Tensors
from trainables.errors import InputError

EXTRA = "peft is not installed, which LoRA needs; install the extra encoders: pip install 'sweeper[encoders]'"
#: Queries and values of attention, as transformers' encoders and decoders call them; those of Hu et al. 2022.
_QUERIES_AND_VALUES = ("q_proj", "v_proj", "query", "value", "q_lin", "v_lin", "q", "v")
_NAME = "default"


def check_installed() -> None:
    """Refuse LoRA where peft is missing.

    Raises:
        InputError: Says what to install.
    """
    if find_spec("peft") is None:
        raise InputError(EXTRA)


def attach(model: Any, *, rank: int, alpha: float, dropout: float, targets: Sequence[str] = ()) -> None:
    """Give a model LoRA's matrices and freeze all else.

    Args:
        model: A transformers model, changed in place.
        rank: Of the matrices.
        alpha: What they add is scaled by alpha / rank.
        dropout: On what enters them.
        targets: Ends of the names of linear layers; by default queries and values of attention.

    Raises:
        InputError: If peft is missing, or no layer has such a name.
    """
    check_installed()
    from peft import LoraConfig, inject_adapter_in_model

    chosen = [*targets] or _default(model)
    for end in chosen:
        if not any(_ends(name, end) for name in _linear(model)):
            known = sorted({name.rpartition(".")[2] for name in _linear(model)})
            raise InputError(
                f"config.align.tuning.targets: no linear layer is called {end!r}; there is {', '.join(known)}"
            )
    settings = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=chosen)
    inject_adapter_in_model(settings, model, adapter_name=_NAME)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if parameter.requires_grad:  # beside weights in half precision, too: they learn in small steps
            parameter.data = parameter.data.float()


def reset(model: nn.Module) -> None:
    """Draw LoRA's matrices anew, from torch's generator: A random, B zero, so that nothing is added yet."""
    for layer in _layers(model):
        layer.reset_lora_parameters(_NAME, True)


def merged(model: nn.Module) -> Tensors:
    """The state of a model by the names it has without LoRA, what the matrices add put into the weights; copies."""
    tensors = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    out = {name.replace(".base_layer.", "."): tensor for name, tensor in tensors.items() if ".lora_" not in name}
    for path, layer in model.named_modules():
        if _is_lora(layer):
            weight = out[f"{path}.weight"]
            out[f"{path}.weight"] = weight + layer.get_delta_weight(_NAME).detach().to(weight.dtype)
    return out


def _layers(model: nn.Module) -> list[Any]:
    return [layer for layer in model.modules() if _is_lora(layer)]


def _is_lora(layer: nn.Module) -> bool:
    return hasattr(layer, "reset_lora_parameters") and hasattr(layer, "get_delta_weight")


def _default(model: nn.Module) -> list[str]:
    there = {name.rpartition(".")[2] for name in _linear(model)}
    found = [name for name in _QUERIES_AND_VALUES if name in there]
    if not found:
        raise InputError(
            f"config.align.tuning.targets: queries and values of a {type(model).__name__} are not known by name; "
            f"name the linear layers for LoRA, there is {', '.join(sorted(there))}"
        )
    return found


def _linear(model: nn.Module) -> list[str]:
    return [name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)]


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")
