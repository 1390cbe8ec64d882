"""Run folders with planted truth, written as the runner writes them: the README of what `analysis` reads."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

CLASSES = ("angry", "happy", "neutral", "sad")
REASONS = {"failed": "diverged: loss is not finite at epoch 3", "stopped": "stopped by asha"}
#: A name that is markup, a script, an attribute's end and a template.
HOSTILE = "</p></template><script>alert('x')</script> \"q\" onload=alert(1) & {{ 7 * 7 }}"
USEFUL, USELESS = "Without the useful part", "Without the useless part"


_TEXT = ("arm", "name", "kind", "stage")
_CURVES = pa.schema(
    [(name, pa.string()) for name in _TEXT]
    + [("epoch", pa.int64()), ("budget", pa.int64()), ("seconds", pa.float64()), ("dev_uar", pa.float64())]
    + [("rows", pa.list_(pa.float32())), ("terms", pa.map_(pa.string(), pa.list_(pa.float32())))]
)


@dataclass
class Plan:
    """What is planted.

    Effects are differences in UAR against the reference arm; noise is in UAR too.
    """

    seed: int = 0
    name: str = "planted"
    folds: int = 5
    seeds: tuple[int, ...] = (0, 1, 2)
    classes: tuple[str, ...] = CLASSES
    per_class: int = 60
    base: float = 0.60
    fold_noise: float = 0.04
    arm_noise: float = 0.006
    seed_noise: float = 0.006
    search: int = 12
    curvature: float = 0.02
    ablation: dict[str, float] = field(default_factory=lambda: {USEFUL: -0.06, USELESS: 0.0})
    control: dict[str, float] = field(default_factory=lambda: {"Real features twice (no generation)": -0.002})
    sensitivity: dict[str, dict[float, float]] = field(
        default_factory=lambda: {
            "align.alpha": {0.0: -0.05, 0.1: -0.02, 0.3: -0.004, 3.0: -0.004, 10.0: -0.03},
            "generate.depth": {2: 0.0, 3: -0.03},
        }
    )
    align_gain: float = 0.01
    stopped: int = 4
    failed: int = 1
    flagged: int = 1
    stop_ablation: bool = True
    epochs: tuple[int, int] = (8, 4)
    diagnostics: bool = True
    embeddings: bool = True
    finished: bool = True
    corpus: str = "iemocap"
    warnings: tuple[str, ...] = ()
    method: str = "mi_infogan"
    #: Test conditions, and how much better or worse than the arm's level each is.
    conditions: dict[str, float] = field(default_factory=lambda: {"audio": 0.0})
    #: Ablation row -> what it changes more in one condition.
    only_in: dict[str, dict[str, float]] = field(default_factory=dict)
    #: Ablation row -> the conditions it is tested in, where not all.
    tested_in: dict[str, tuple[str, ...]] = field(default_factory=dict)
    #: Kinds of stored vectors, and their spread around the class means.
    kinds: dict[str, float] = field(default_factory=lambda: {"real": 1.5, "generated": 0.6})
    #: An ablation row whose vectors are kept too.
    compared: str = ""
    #: Baselines, other methods on the same folds, and their effect.
    baselines: dict[str, float] = field(default_factory=dict)
    #: Words of the diagnostics as the run records them; a run of before they were recorded has none.
    measures: dict[str, tuple[str, str]] | None = None
    #: Published numbers of the full model: (condition, metric, mean, source).
    published: tuple[tuple[str, str, float, str], ...] = ()
    study: dict[str, object] = field(default_factory=dict)
    #: Speakers of a session; with 0, a run of before test speakers were counted.
    speakers: int = 2


SOURCE = "Sun et al. 2024, table 2"


def several(**changes) -> Plan:
    """A run with three test conditions, kinds of vectors in two figures, and measures of its own."""
    given = {
        "name": "several",
        "method": "cm_arr",
        "conditions": {"audio": -0.08, "text": -0.03, "audio+text": 0.04},
        "only_in": {USELESS: {"audio": -0.07}},
        "kinds": {"audio: true": 1.5, "audio: recovered": 0.8, "text: true": 1.2, "text: recovered": 0.7},
        "measures": {
            "recovery_error": ("Recovery error", "mean squared error of the recovered features; 1 is the mean's"),
            "spread": ("Spread", "spread of the latents; 0 is collapse"),
            "recall": ("Recall", "share of a class that the recovered features keep"),
        },
        "published": (
            *(("audio", "uar", 0.5523, SOURCE), ("text", "uar", 0.6302, SOURCE)),
            *(("audio+text", "uar", 0.7431, SOURCE), ("audio+text", "war", 0.7311, f"{SOURCE}, 5-fold")),
        ),
        "search": 6,
        "stopped": 2,
    }
    return Plan(**{**given, **changes})


@dataclass
class _Tables:
    trials: list[dict] = field(default_factory=list)
    folds: list[dict] = field(default_factory=list)
    curves: list[dict] = field(default_factory=list)
    speakers: list[dict] = field(default_factory=list)


def write(path: Path, plan: Plan | None = None) -> Path:
    """Write a run folder to `path` and return it."""
    plan = plan or Plan()
    rng = np.random.default_rng(plan.seed)
    tables = _Tables()
    fold_levels = rng.normal(0, plan.fold_noise, plan.folds)
    reference = _search_part(plan, rng, tables, fold_levels)
    _probe_part(plan, rng, tables, fold_levels, reference)
    path.mkdir(parents=True, exist_ok=True)
    _write_tables(path, plan, rng, tables, reference)
    (path / "study.yaml").write_text(
        yaml.safe_dump({"name": plan.name, "method": plan.method, "seeds": list(plan.seeds), **plan.study})
    )
    (path / "provenance.json").write_text(json.dumps(_provenance(plan, reference)))
    (path / "status.json").write_text(json.dumps({"state": "finished" if plan.finished else "running"}))
    if not plan.finished:
        (path / "journal.jsonl").write_text("")
    return path


def _config(alpha: float = 1.0, depth: int = 1, temperature: float = 0.1) -> dict:
    return {
        "align": {"alpha": alpha, "beta": 1.0, "temperature": temperature},
        "generate": {"depth": depth, "width": 256, "unlabeled_amount": 1.0},
        "augment": {"source": "generated"},
    }


def _search_part(plan: Plan, rng: np.random.Generator, tables: _Tables, levels: np.ndarray) -> str:
    """The paper's defaults and the search; returns the arm that is chosen."""
    _arm(plan, rng, tables, levels, name="paper defaults", kind="reference", config=_config(), effect=-0.01)
    for index in range(plan.search):
        alpha = float(10 ** rng.uniform(-1.5, 1.5))
        stopped = 1 <= index <= plan.stopped
        failed = plan.stopped < index <= plan.stopped + plan.failed
        flagged = plan.stopped + plan.failed < index <= plan.stopped + plan.failed + plan.flagged
        effect = -plan.curvature * np.log10(alpha) ** 2 - (0.08 if stopped else 0)
        _arm(
            plan,
            rng,
            tables,
            levels,
            name=f"search {index + 1}",
            kind="search",
            config=_config(alpha, temperature=float(10 ** rng.uniform(-1.5, 0))),
            effect=0.05 if flagged else effect,
            status="stopped" if stopped else "failed" if failed else "done",
            flags=["generator collapsed"] if flagged else [],
        )
    able = [t for t in tables.trials if t["status"] == "done" and not t["flags"]]
    best = max(able, key=lambda trial: trial["score"])
    best["is_best"] = best["is_reference"] = plan.finished or bool(plan.ablation or plan.sensitivity)
    return str(best["arm"])


def _probe_part(plan: Plan, rng: np.random.Generator, tables: _Tables, levels: np.ndarray, parent: str) -> None:
    trial = next(t for t in tables.trials if t["arm"] == parent)
    config, base = json.loads(trial["config"]), trial["effect"]
    for name, effect in {**plan.ablation, **plan.control}.items():
        changed = {**config, "augment": {"source": name}}
        _arm(plan, rng, tables, levels, name=name, kind="ablation", config=changed, effect=base + effect, parent=parent)
    if plan.stop_ablation and plan.ablation:
        changed = {**config, "augment": {"source": "stopped"}}
        _arm(
            plan,
            rng,
            tables,
            levels,
            name="Without what stops early",
            kind="ablation",
            config=changed,
            effect=base - 0.12,
            parent=parent,
            status="stopped",
        )
    for name, effect in plan.baselines.items():
        _arm(
            plan, rng, tables, levels, name=name, kind="baseline", config={"fit": {"C": 1.0}}, effect=base + effect,
            parent=parent,
        )  # fmt: skip
    for path, values in plan.sensitivity.items():
        section, key = path.split(".")
        for value, effect in values.items():
            changed = {**config, section: {**config[section], key: value}}
            _arm(
                plan,
                rng,
                tables,
                levels,
                name=f"{path} = {value}",
                kind="sensitivity",
                config=changed,
                effect=base + effect,
                parent=parent,
                parameter=path,
                value=json.dumps(value),
            )


def _arm(
    plan: Plan,
    rng: np.random.Generator,
    tables: _Tables,
    levels: np.ndarray,
    *,
    name: str,
    kind: str,
    config: dict,
    effect: float,
    parent: str = "",
    status: str = "done",
    flags: list[str] | None = None,
    parameter: str | None = None,
    value: str | None = None,
) -> None:
    order = len(tables.trials)
    arm = f"{plan.seed:04x}{order:06x}"
    folds, seeds = plan.folds, len(plan.seeds)
    skill = levels + effect + rng.normal(0, plan.arm_noise, folds)
    target = np.repeat(skill, seeds) + plan.base + rng.normal(0, plan.seed_noise, folds * seeds)
    planned = sum(plan.epochs)
    seen = {"done": planned, "stopped": 3, "failed": 2}[status]
    common = {"arm": arm, "name": name, "kind": kind}
    dev = _curve(plan, rng, tables, common, target, seen)
    scored = _fold_rows(plan, rng, tables, common, target) if status == "done" else float(dev)
    tables.trials.append(
        {
            **common,
            "parent": parent,
            "parameter": parameter,
            "value": value,
            "status": status,
            "reason": REASONS.get(status, ""),
            "flags": flags or [],
            "config": json.dumps(config),
            "changed": json.dumps(
                {} if kind in ("reference", "baseline") else {"align.alpha": config["align"]["alpha"]}
            ),
            "score": None if status == "failed" else scored,
            "epochs": seen,
            "epochs_planned": planned,
            "epochs_trained": seen + 5,
            "epochs_reused": 8 if kind == "ablation" else 0,
            "started_at": 1e9 + order * 60.0,
            "finished_at": 1e9 + order * 60.0 + 50,
            "seconds": 50.0,
            "started_order": order,
            "finished_order": order,
            "attempts": 1,
            "host": "node",
            "is_reference": False,
            "is_best": False,
            "effect": effect,
        }
    )


def _curve(plan: Plan, rng: np.random.Generator, tables: _Tables, common: dict, target: np.ndarray, seen: int) -> float:
    """Epochs of align, generate (which classifies nothing) and augment; returns the last dev UAR."""
    align, augment = plan.epochs
    rows = target
    many = len(target)
    for epoch in range(1, min(seen, align) + 1):
        rows = target - plan.align_gain - 0.3 * np.exp(-epoch / 2) + rng.normal(0, 0.004, len(target))
        tables.curves.append(_epoch(common, "align", epoch, epoch, rows, _terms(many, epoch, "ser", "contrast")))
    if seen > align:
        for epoch in range(1, 6):
            tables.curves.append(_epoch(common, "generate", epoch, align, None, _terms(many, epoch, "game")))
        for epoch in range(1, augment + 1):
            rows = target + rng.normal(0, 0.004, len(target))
            tables.curves.append(_epoch(common, "augment", epoch, align + epoch, rows, _terms(many, epoch, "ser")))
    return float(rows.mean())


def _terms(rows: int, epoch: int, *names: str) -> list[tuple[str, list[float]]]:
    """Losses that fall, the later named the lower, each row a little apart from the one before."""
    spread = 1 + 0.02 * np.arange(rows)
    return [(name, ((0.2 + np.exp(-epoch / 3)) * spread / (1 + 9 * i)).tolist()) for i, name in enumerate(names)]


def _epoch(common: dict, stage: str, epoch: int, budget: int, rows: np.ndarray | None, terms: list) -> dict:
    return {
        **common,
        "stage": stage,
        "epoch": epoch,
        "budget": budget,
        "seconds": float(epoch),
        "dev_uar": None if rows is None else float(rows.mean()),
        "rows": None if rows is None else rows.tolist(),
        "terms": terms,
    }


def _fold_rows(plan: Plan, rng: np.random.Generator, tables: _Tables, common: dict, target: np.ndarray) -> float:
    score = []
    extra = plan.only_in.get(common["name"], {})
    tested = plan.tested_in.get(common["name"], tuple(plan.conditions))
    for stage, gain in (("align", -plan.align_gain), ("augment", 0.0)):
        for row, level in enumerate(target):
            for split in ("dev", "test"):
                for condition in tested:
                    shift = gain + plan.conditions[condition] + extra.get(condition, 0.0)
                    counts = confusion(rng, level + shift, len(plan.classes), plan.per_class)
                    metrics = metrics_of(counts)
                    if split == "dev" and stage == "augment":
                        score.append(metrics["uar"])
                    tables.folds.append(
                        {
                            **common,
                            "stage": stage,
                            "final": stage == "augment",
                            "fold": fold_name(row // len(plan.seeds)),
                            "seed": plan.seeds[row % len(plan.seeds)],
                            "split": split,
                            "condition": condition,
                            **metrics,
                            "n": int(counts.sum()),
                            "absent": [],
                            "confusion": counts.ravel().tolist(),
                            "epoch": 1 + row % 3,
                        }
                    )
                    if plan.speakers and split == "test" and stage == "augment":
                        _speaker_rows(plan, tables, tables.folds[-1], counts)
    return float(np.mean(score))


def _speaker_rows(plan: Plan, tables: _Tables, row: dict, counts: np.ndarray) -> None:
    names = speaker_names(plan, row["fold"])
    rng = np.random.default_rng((plan.seed, len(tables.speakers)))  # of its own: nothing else that is planted moves
    common = {name: row[name] for name in ("arm", "fold", "seed", "condition")}
    tables.speakers += [
        {**common, "speaker": name, "n": int(mine.sum()), "confusion": mine.ravel().tolist()}
        for name, mine in zip(names, dealt(rng, counts, len(names)), strict=True)
    ]


def speaker_names(plan: Plan, fold: str) -> list[str]:
    """The speakers of a session."""
    many = plan.speakers or 2
    return [f"{fold}-{'FM'[i] if many == 2 else i + 1}" for i in range(many)]


def dealt(rng: np.random.Generator, counts: np.ndarray, speakers: int) -> np.ndarray:
    """Counts dealt to speakers by chance, about as many of each class to each; shape (speakers, C, C)."""
    made = np.zeros((speakers, *counts.shape), dtype=np.int64)
    for truth, left in enumerate(counts.copy()):
        for speaker in range(speakers):
            made[speaker, truth] = rng.multivariate_hypergeometric(left, left.sum() // (speakers - speaker))
            left -= made[speaker, truth]
    return made


def fold_name(index: int) -> str:
    """Name of a fold."""
    return f"session {index + 1}"


def confusion(rng: np.random.Generator, level: float, classes: int, per_class: int) -> np.ndarray:
    """Counts whose recalls are near `level`, with the rounding drawn, not the hits: little noise of its own."""
    hits = np.floor(np.clip(level, 0, 1) * per_class + rng.random(classes)).astype(int)
    counts = np.diag(hits)
    for truth in range(classes):
        missed = rng.multinomial(per_class - hits[truth], np.full(classes - 1, 1 / (classes - 1)))
        counts[truth, np.arange(classes) != truth] = missed
    return counts


def metrics_of(counts: np.ndarray) -> dict[str, float]:
    """The four metrics, written out plainly, apart from `analysis`'s own."""
    recalls, f1s, supports = [], [], []
    for c in range(len(counts)):
        support, predicted, hit = counts[c].sum(), counts[:, c].sum(), counts[c, c]
        if support:
            recalls.append(hit / support)
            f1s.append(2 * hit / (support + predicted))
            supports.append(support)
    total = sum(supports)
    weighted = sum(f * s for f, s in zip(f1s, supports, strict=True)) / total
    return {
        "uar": float(np.mean(recalls)),
        "war": float(np.trace(counts) / total),
        "wf1": weighted,
        "macro_f1": float(np.mean(f1s)),
    }


def _provenance(plan: Plan, reference: str) -> dict:
    names = [fold_name(i) for i in range(plan.folds)]
    n = plan.per_class * len(plan.classes)
    speakers = {name: speaker_names(plan, name) for name in names}
    published = [
        {"corpus": "iemocap", "metric": "uar", "mean": 0.6231, "std": 0.0365, "source": "Ahn et al. 2025, table 3"}
    ]
    return {
        "sweeper": "0.1.0",
        "versions": {"python": "3.11.9", "torch": "2.11.0", "ray": "2.60.0"},
        "git": "0123abc",
        "host": "node",
        "python": "3.11.9",
        "corpus": {
            "path": "data/corpus",
            "name": plan.corpus,
            "fingerprint": "ab" * 16,
            "utterances": n * plan.folds + 40,
            "labeled": n * plan.folds,
            "classes": list(plan.classes),
            "columns": {"audio": "audio_gemaps47", "text": "text_minilm384"},
            "counts": dict.fromkeys(plan.classes, plan.per_class * plan.folds),
            "warnings": list(plan.warnings),
        },
        "protocol": {"kind": "leave-one-session-out", "dev": "session", "folds": None, "seed": 0},
        "folds": [
            {
                "name": name,
                "train": n * max(plan.folds - 2, 1),
                "dev": n,
                "test": n,
                "speakers": {
                    "train": [s for other in names if other != name for s in speakers[other]],
                    "dev": [],
                    "test": speakers[name],
                },
            }
            for name in names
        ],
        "rows": [[name, seed] for name in names for seed in plan.seeds],
        "seeds": list(plan.seeds),
        "method": {
            "name": plan.method,
            "title": "Mutual information InfoGAN",
            "citation": "Ahn et al. 2025",
            "version": 1,
            **({} if plan.measures is None else {"measures": {k: list(v) for k, v in plan.measures.items()}}),
        },
        "published": [
            {"corpus": "iemocap", "condition": c, "metric": m, "mean": v, "std": None, "source": s}
            for c, m, v, s in plan.published
        ],
        "parameters": {
            "align.alpha": {"low": 0.03, "high": 30.0, "log": True, "kind": "float"},
            "align.temperature": {"low": 0.03, "high": 1.0, "log": True, "kind": "float"},
        },
        "ablation": {
            **{name: {"claim": "It helps.", "control": False, "published": published} for name in plan.ablation},
            **{name: {"claim": "Nothing generated.", "control": True, "published": []} for name in plan.control},
        },
        "warnings": [],
        "started_at": 1.7e9,
        "finished_at": 1.7e9 + 3725 if plan.finished else None,
        "seconds": 3725.0,
        "invocations": 1,
        "scheduler": {"kind": "asha", "grace_period": 3, "reduction_factor": 3},
        "selection": {"reference": reference, "text": "The best mean dev UAR among finished, unflagged arms."},
    }


def _write_tables(path: Path, plan: Plan, rng: np.random.Generator, tables: _Tables, reference: str) -> None:
    trials = pd.DataFrame(tables.trials).drop(columns="effect")
    pq.write_table(pa.Table.from_pandas(trials, preserve_index=False), path / "trials.parquet")
    pq.write_table(pa.Table.from_pylist(tables.folds), path / "folds.parquet")
    if plan.speakers:
        pq.write_table(pa.Table.from_pylist(tables.speakers), path / "speakers.parquet")
    pq.write_table(pa.Table.from_pylist(tables.curves, schema=_CURVES), path / "curves.parquet")
    if plan.diagnostics:
        pq.write_table(pa.Table.from_pylist(_diagnostics(plan, rng, reference, tables)), path / "diagnostics.parquet")
    if plan.embeddings:
        pq.write_table(pa.Table.from_pylist(_embeddings(plan, rng, reference, tables)), path / "embeddings.parquet")


_GENERATION = {"mi_y": 1.1, "mi_t": 2.3, "spread_ratio": 0.4, "noise_spread": 0.3, "norm_ratio": 0.9}
_BY_CLASS = {"recall_generated": 0.97, "recall_real": 0.6}


def _diagnostics(plan: Plan, rng: np.random.Generator, reference: str, tables: _Tables) -> list[dict]:
    """Of the reference alone; of every row of the ablation too where the measures are the plan's own."""
    ours = plan.measures is not None
    values = dict.fromkeys(list(plan.measures or ())[:-1], 0.5) if ours else _GENERATION
    by_class = dict.fromkeys(list(plan.measures or ())[-1:], 0.8) if ours else _BY_CLASS
    rows = [t["arm"] for t in tables.trials if ours and t["kind"] == "ablation" and t["status"] == "done"]
    named = [(measure, "", value) for measure, value in values.items()]
    named += [(measure, label, value) for label in plan.classes for measure, value in by_class.items()]
    return [
        {
            **{"arm": arm, "fold": fold_name(fold), "seed": seed, "stage": "generate"},
            **{"measure": measure, "label": label, "value": value + 0.1 * place + rng.normal(0, 0.02)},
        }
        for place, arm in enumerate([reference, *rows])
        for fold in range(plan.folds)
        for seed in plan.seeds
        for measure, label, value in named
    ]


def _embeddings(plan: Plan, rng: np.random.Generator, reference: str, tables: _Tables) -> list[dict]:
    centres = rng.normal(0, 3, (len(plan.classes), 16))
    compared = [t["arm"] for t in tables.trials if t["name"] == plan.compared]
    return [
        {
            "arm": arm,
            "fold": fold_name(0),
            "seed": plan.seeds[0],
            "kind": kind,
            "label": label,
            "vector": (centres[index] + rng.normal(0, scale, 16)).astype(np.float32).tolist(),
        }
        for arm in [reference, *compared]
        for kind, scale in plan.kinds.items()
        for index, label in enumerate(plan.classes)
        for _ in range(40)
    ]
