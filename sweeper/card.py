"""The model card: what a trained model is, what it was tried on, and what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def model_card(about: Mapping[str, Any]) -> str:
    """The card as Markdown.

    Args:
        about: What stands in the model's ``config.json``.
    """
    evidence, trained = about["evidence"], about["trained_on"]
    flags = ", ".join(evidence["flags"]) or "none"
    return f"""# {about["method"]} for speech emotion recognition

Classes: {", ".join(about["classes"])}. Inputs: {_inputs(about)}.
Models: {len(about["seeds"])} (seeds {", ".join(map(str, about["seeds"]))}), their probabilities averaged.

    sweeper predict MODEL CORPUS -o out.parquet

## Data

Trained on {trained["utterances"]} labeled utterances of `{trained["corpus"]}`{_split(trained)}
({_counts(trained["counts"])}), content fingerprint `{trained["fingerprint"]}`.
{_same(trained)}

## Evidence

This model itself has not been tested: it has seen all labeled utterances. The numbers are those of its
configuration in the sweep, mean and standard deviation over {evidence["folds"]} folds of the mean over seeds.

| | dev | test |
|---|---|---|
{_rows(evidence)}

Arm `{evidence["arm"]}` ({evidence["name"]}), chosen from {evidence["chosen_from"]} arms.
Selection: {evidence["selection"].rstrip(".")}.
A dev number that was chosen as the highest of many is optimistic; the test number is not what was chosen on.
Warnings of the sweep: {flags}. {_reference(evidence)}

## Intended use

Research on emotion recognition from speech, on recordings and features like those it was trained on.

## Limits

- Other languages, microphones, speaking styles and annotators are unmeasured, and usually worse.
- Features must come from the same extraction, in the same order, on the same scale.
- A class is what annotators of this corpus perceived, not what a person feels.
- Do not decide about people with it.

## Licence

The weights derive from the corpus above, and its licence (often research only) applies to passing them on.
"""


def _inputs(about: Mapping[str, Any]) -> str:
    sizes = {modality: f" ({size} values)" if size else "" for modality, size in about["dims"].items()}
    return ", ".join(f"{modality} `{column}`{sizes[modality]}" for modality, column in about["columns"].items())


def _split(trained: Mapping[str, Any]) -> str:
    return f", split `{trained['split']}`" if trained["split"] else ""


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in counts.items())


def _same(trained: Mapping[str, Any]) -> str:
    if trained["same_as_sweep"]:
        return "It is the corpus of the sweep, unchanged."
    return "**It is not the corpus of the sweep**: the evidence below was gathered on other data."


def _rows(evidence: Mapping[str, Any]) -> str:
    names = {"uar": "UAR", "war": "WAR", "wf1": "weighted F1", "macro_f1": "macro F1"}
    return "\n".join(
        f"| {title} | {_value(evidence['dev'][metric])} | {_value(evidence['test'][metric])} |"
        for metric, title in names.items()
    )


def _reference(evidence: Mapping[str, Any]) -> str:
    reference = evidence.get("reference")
    if not reference or reference["arm"] == evidence["arm"]:
        return "It is the reference configuration itself."
    return f"The reference configuration had a test UAR of {_value(reference['test']['uar'])}."


def _value(number: Mapping[str, float | None]) -> str:
    mean, std = number["mean"], number["std"]
    if mean is None:
        return "–"
    return f"{mean:.3f}" if std is None else f"{mean:.3f} ± {std:.3f}"
