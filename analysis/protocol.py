"""How the corpus was cut, how the choice was made, and with what: the page's small print, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from analysis.figures.curves import saved_words
from analysis.findings import Findings
from analysis.words import duration, number, plural

#: (what, in words)
Line = tuple[str, str]


def protocol_lines(found: Findings) -> list[Line]:
    """Corpus, features, folds, dev parts, seeds and metrics."""
    provenance = found.run.provenance
    corpus, protocol, study = provenance["corpus"], provenance.get("protocol") or {}, found.run.study
    counts = ", ".join(f"{name} {count:,}" for name, count in (corpus.get("counts") or {}).items())
    labeled = plural(int(corpus.get("labeled", 0)), "labeled utterance")
    sizes = provenance["folds"]
    parts = ", ".join(f"{part} {_range(sizes, part)}" for part in ("train", "dev", "test"))
    over = f", of the {found.over}" if found.several else ""
    lines = [
        ("Corpus", f"{corpus.get('name', '')}: {labeled} of {corpus.get('utterances', 0):,}"),
        ("Classes", counts or ", ".join(found.run.classes)),
        ("Features", ", ".join(f"{modality}: {column}" for modality, column in (corpus.get("columns") or {}).items())),
        ("Used of it", _where({**study, **corpus})),
        ("Unlabeled", str(corpus.get("unlabeled") or study.get("unlabeled") or "")),
        ("Conditions", ", ".join(found.conditions)),
        ("Protocol", _kind(protocol)),
        ("Folds", f"{len(sizes)}; utterances in {parts}"),
        ("Seeds", ", ".join(map(str, sorted({seed for _, seed in found.run.rows})))),
        ("UAR", f"mean recall of the classes present in the truth; mean over folds of the mean over seeds{over}"),
    ]  # fmt: skip
    return [(what, text) for what, text in lines if text]


def _where(section: Mapping[str, Any]) -> str:
    """The column values that utterances were picked by."""
    wanted = section.get("where") or {}
    return "; ".join(f"{column}: {_joined(values)}" for column, values in wanted.items())


def _joined(values: Any) -> str:
    return str(values) if isinstance(values, str) else " or ".join(map(str, values))


def _kind(protocol: Mapping[str, Any]) -> str:
    text = str(protocol.get("kind", ""))
    dev = protocol.get("dev")
    return text + (f", dev: {dev}" if dev and dev != "auto" else "")


def _range(folds: list[Mapping[str, Any]], part: str) -> str:
    sizes = [int(fold.get(part) or 0) for fold in folds]
    low, high = min(sizes), max(sizes)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def selection_lines(found: Findings) -> list[Line]:
    """How arms, epochs and stops were chosen, and from how many."""
    provenance = found.run.provenance
    scheduler = provenance.get("scheduler") or {}
    text = str((provenance.get("selection") or {}).get("text", ""))
    kind = str(scheduler.get("kind") or "")
    if kind == "race":
        kind += f", significantly worse than the best arm on dev UAR; alpha {number(scheduler.get('alpha'))}"
    if kind == "asha":
        kind += f", on mean dev UAR; grace period {number(scheduler.get('grace_period'))} epochs"
        kind += f", reduction factor {number(scheduler.get('reduction_factor'))}"
    lines = [
        ("Arms", text or "The best mean dev UAR among finished, unflagged arms."),
        ("Epochs", "Each fold and seed keeps the epoch with its best dev UAR; test is read there once."),
        ("Stopping", kind),
        ("Saved", saved_words(found.saved) if found.saved.stopped else ""),
        ("Test", "Read for no choice. Shown only for arms chosen on dev or fixed beforehand."),
    ]  # fmt: skip
    return [(what, text) for what, text in lines if text]


def provenance_lines(found: Findings) -> list[Line]:
    """Method, versions, commit, fingerprint, where and how long."""
    provenance = found.run.provenance
    method, corpus = provenance.get("method") or {}, provenance["corpus"]
    versions = ", ".join(f"{name} {version}" for name, version in (provenance.get("versions") or {}).items())
    lines = [
        ("Method", ": ".join(str(method[key]) for key in ("name", "title") if method.get(key))),
        ("Source", str(method.get("citation") or "")),
        ("Run", f"sweeper {provenance.get('sweeper', '')}, commit {provenance.get('git') or 'not known'}"),
        ("Versions", versions),
        ("Corpus at", str(corpus.get("path", ""))),
        ("Fingerprint", str(corpus.get("fingerprint", ""))),
        ("Begun", _moment(provenance.get("started_at"))),
        ("Ended", _moment(provenance.get("finished_at"))),
        ("Took", duration(float(provenance["seconds"])) if provenance.get("seconds") is not None else ""),
        ("Invocations", str(provenance.get("invocations", ""))),
        ("Host", str(provenance.get("host") or "")),
    ]
    return [(what, text) for what, text in lines if text]


def _moment(value: Any) -> str:
    """A time as the run wrote it: Unix seconds or text."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return str(value or "")
