"""The report: one self-contained page, its numbers as JSON, tables as CSV and LaTeX, figures as PNG, SVG and PDF."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from analysis import files, glossary, numbers, page
from analysis.cautions import cautions
from analysis.errors import ReportError
from analysis.figures import figures
from analysis.figures.style import Drawn, save
from analysis.findings import Findings
from analysis.page import Figure, Piece, Section
from analysis.protocol import protocol_lines, provenance_lines, selection_lines
from analysis.side_by_side import comparison, drawings
from analysis.summary import summary
from analysis.table import Table
from analysis.words import headline, with_spread

#: Order of the page: figure keys (a star stands for any ending) and table keys under their heading; a section without
#: any of its parts is left out.
SECTIONS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("best", "Best arms", ("best_arms",), ("best_arms", "optimism")),
    ("conditions", "By condition", ("by_condition", "heat_map"), ("by_condition", "worth_by_condition")),
    ("ablation", "Ablation", ("ablation", "factorial"), ("ablation", "evidence", "factorial")),
    ("baselines", "Against baselines", ("baselines",), ("baselines", "evidence_baselines")),
    ("spread", "Where spread comes from", (), ("spread",)),
    ("published", "Beside the paper", (), ("published",)),
    ("stages", "What the last stage adds", (), ("stage_gains",)),
    (
        "sensitivity",
        "Sensitivity",
        ("sensitivity", "importance", "partial_dependence", "contour"),
        ("sensitivity", "robust", "importance", "surrogate"),
    ),
    ("errors", "What the best arm confuses", ("confusion",), ("recalls", "recalls_by_arm", "folds")),
    ("speakers", "By test speaker", ("speakers",), ("speakers",)),
    ("measured", "What the stages made", ("generation", "tsne*"), ("diagnostics", "diagnostics_by_arm")),
    ("search", "The search", ("best_so_far", "parallel", "search", "saved", "rungs"), ("rungs", "failed", "flagged")),
    ("training", "Training", ("learning", "losses"), ()),
)


def write(runs: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write the report of one run, or of several side by side.

    Args:
        runs: Run folders; a run may still be going on.
        out: Folder to write to; by default ``<run>/report``, for several ``report`` beside the first run.

    Returns:
        Path of ``index.html``; ``report.json`` (see `analysis.numbers`), ``tables/`` and ``figures/`` stand beside it
        (the last two by run, for several).

    Raises:
        ReportError: If there is no run, or one cannot be read.
    """
    found = numbers.findings(runs)
    folder = _folder([Path(path) for path in runs], out)
    counted = numbers.Counted.of(found)
    places = [PurePosixPath()] if len(found) == 1 else [PurePosixPath(slug) for slug in _slugs(found)]
    pages = [
        _page(one, made, slug, place, folder)
        for one, made, slug, place in zip(found, counted.tables, _slugs(found), places, strict=True)
    ]
    compared = _compared(found, counted.comparison, folder) if len(found) > 1 else None
    _replace(folder / "report.json", json.dumps(counted.plain(), indent=1, allow_nan=False))
    return _replace(folder / "index.html", page.render(" · ".join(one.run.name for one in found), pages, compared))


def _compared(found: Sequence[Findings], made: Sequence[Table], folder: Path) -> Section:
    """Write what stands above several runs' own pages, and gather it."""
    drawn = _figures(drawings(found), "comparison", PurePosixPath(), folder)
    pieces = _pieces(made, PurePosixPath(), folder)
    return Section("comparison", "Runs side by side", list(drawn.values()), list(pieces.values()))


def _folder(runs: list[Path], out: str | Path | None) -> Path:
    folder = Path(out) if out else (runs[0] if len(runs) == 1 else runs[0].resolve().parent) / "report"
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"{folder}: is a file, expected a folder to write the report to")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _slugs(found: Sequence[Findings]) -> list[str]:
    """A name for each run that is safe as a folder and as an id, and the run's own."""
    plain = [re.sub(r"[^A-Za-z0-9]+", "-", one.run.name).strip("-").lower() or "run" for one in found]
    return [slug if plain.count(slug) == 1 else f"{slug}-{index + 1}" for index, slug in enumerate(plain)]


def _replace(path: Path, text: str) -> Path:
    """Write a file so that it is there whole or as it was."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    return part.replace(path)


def _page(found: Findings, made: Sequence[Table], slug: str, place: PurePosixPath, folder: Path) -> dict[str, Any]:
    """Write a run's figures and tables, and gather what the page says of it."""
    drawn = _figures(figures(found), slug, place, folder)
    pieces = _pieces(made, place, folder)
    return {
        "slug": slug,
        "name": found.run.name,
        "headline": headline(found),
        "tiles": tiles(found),
        "cautions": cautions(found),
        "sections": list(_sections(drawn, pieces)),
        "not_run": found.ablation_not_run,
        "small_print": [
            ("protocol", "Protocol", protocol_lines(found)),
            ("selection", "How it was chosen", selection_lines(found)),
            ("words", "Words in the tables", glossary.words(made)),
            ("provenance", "Provenance", provenance_lines(found)),
        ],
    }


def _figures(drawn: Iterable[Drawn], slug: str, place: PurePosixPath, folder: Path) -> dict[str, Figure]:
    """Write figures, and make them ready for the page, by key."""
    at = "figures" / place
    return {one.key: page.figure(one, save(one, folder / at), slug, at) for one in drawn}


def _pieces(made: Iterable[Table], place: PurePosixPath, folder: Path) -> dict[str, Piece]:
    """Write tables, and make them ready for the page, by key."""
    at = "tables" / place
    pieces = {table.key: page.piece(table, at) for table in made}
    for piece in pieces.values():
        files.write(piece.latex, piece.csv, folder / piece.at)
    return pieces


def _sections(drawn: Mapping[str, Figure], made: Mapping[str, Piece]) -> Iterator[Section]:
    for key, title, figure_keys, table_keys in SECTIONS:
        shown = [drawn[name] for pattern in figure_keys for name in fnmatch.filter(drawn, pattern)]
        listed = [made[name] for name in table_keys if name in made]
        if shown or listed:
            yield Section(key, title, shown, listed)


def tiles(found: Findings) -> list[tuple[str, str, str]]:
    """(what, value, how it was taken) of the numbers at the top of the page."""
    run, total = found.run, found.saved
    how = "mean ± spread over folds" + (f"; mean over {len(found.tested)} conditions" if found.several else "")
    made = []
    if found.best:
        for split in ("test", "dev"):
            mean, std = found.number(found.best, "uar", split), found.number(found.best, "uar_fold_std", split)
            made.append((f"{split} UAR of the best arm", f"{with_spread(mean, std)} %", how))
    if found.paper and found.paper != found.best:
        mean, std = found.number(found.paper, "uar"), found.number(found.paper, "uar_fold_std")
        made.append((f"test UAR of {found.paper_label}", f"{with_spread(mean, std)} %", how))
    counts = run.trials["status"].value_counts()
    states = ", ".join(f"{counts[state]:,} {state}" for state in ("done", "stopped", "failed") if state in counts)
    made.append(("arms", f"{total.arms:,}", states))
    if total.stopped:
        made.append(("epochs saved by stopping", f"{100 * total.share:.0f} %", f"{total.saved:,} of {total.planned:,}"))
    return made


__all__ = ["comparison", "summary", "tiles", "write"]
