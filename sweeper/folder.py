"""The run folder from outside: is it new, does it belong to this study, is it finished?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from search_spaces.change import flatten
from sweeper import provenance, results
from sweeper.address import NOTE
from sweeper.lock import LOCK
from sweeper.study import Study, load, to_yaml
from trainables.errors import InputError

STUDY = "study.yaml"
#: Keys that change no number; a run may go on with others. The corpus is compared by its content.
_FREE = ("name", "storage", "corpus", "resources", "failures", "stages")


def enter(folder: Path, study: Study, described: dict[str, Any]) -> dict[str, Any]:
    """Make a run folder, or make sure that one is there for the same study on the same corpus.

    Args:
        folder: The run folder; exists, and is held by this process.
        study: The study, with modalities settled.
        described: What `provenance.describe` says now.

    Returns:
        The provenance to go on with: the recorded one, or the one given.

    Raises:
        InputError: If the folder belongs to another study, corpus or version of the method, or is no run folder.
    """
    recorded = provenance.read(folder)
    if recorded:
        _check_same(folder, study, recorded, described)
        return recorded
    ours = (LOCK, NOTE, STUDY, "sweeper.log")
    strangers = sorted(each.name for each in folder.iterdir() if each.name not in ours)
    if strangers:
        raise InputError(f"{folder}: holds {strangers[0]} but no run; run under another name (--set name=...)")
    results.replace_text(folder / STUDY, to_yaml(study))
    provenance.write(folder, described)
    return described


def finished(folder: Path, recorded: dict[str, Any]) -> bool:
    """Whether nothing is left to be done."""
    return bool(recorded.get("finished_at")) and not (folder / results.JOURNAL).exists()


def differing(one: Study, other: Study) -> list[str]:
    """The keys in which two studies differ and that can change a number."""
    left, right = (flatten(each.model_dump(mode="json", exclude=set(_FREE))) for each in (one, other))
    return sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))


def _check_same(folder: Path, study: Study, recorded: dict[str, Any], described: dict[str, Any]) -> None:
    keys = differing(load(folder / STUDY), study)
    if keys:
        raise InputError(
            f"{folder}: holds a run of another study, which differs in {', '.join(keys[:5])}"
            f"{' and more' if len(keys) > 5 else ''}; run under another name (--set name=...), or remove that run"
        )
    for what, inside in (("corpus", "fingerprint"), ("method", "version")):
        if recorded[what][inside] != described[what][inside]:
            raise InputError(
                f"{folder}: was begun with another {what} ({inside} {recorded[what][inside]}, now "
                f"{described[what][inside]}); its numbers cannot be mixed, run under another name (--set name=...)"
            )
