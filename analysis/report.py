"""The report: one self-contained page, tables as CSV and LaTeX, figures as PNG and SVG."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from analysis import files, search
from analysis.cautions import cautions
from analysis.errors import ReportError
from analysis.figures import figures
from analysis.figures.style import WIDE, Drawn, save, themed
from analysis.findings import Findings
from analysis.protocol import protocol_lines, provenance_lines, selection_lines
from analysis.run import load
from analysis.side_by_side import comparison, side_by_side
from analysis.summary import summary
from analysis.table import Column, Table
from analysis.tables import tables
from analysis.words import headline, share, with_spread

#: Order of the page: figure keys (a star stands for any ending) and table keys under their heading; a section without
#: any of its parts is left out.
SECTIONS: tuple[tuple[str, str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("best", "Best arms", ("best_arms",), ("best_arms",)),
    ("conditions", "By condition", ("by_condition",), ("by_condition", "worth_by_condition")),
    ("ablation", "Ablation", ("ablation",), ("ablation",)),
    ("baselines", "Against baselines", ("baselines",), ("baselines",)),
    ("published", "Beside the paper", (), ("published",)),
    ("stages", "What the last stage adds", (), ("stage_gains",)),
    ("sensitivity", "Sensitivity", ("sensitivity",), ("sensitivity",)),
    ("errors", "What the best arm confuses", ("confusion",), ("recalls", "recalls_by_arm", "folds")),
    ("speakers", "By test speaker", ("speakers",), ("speakers",)),
    ("measured", "What the stages made", ("generation", "tsne*"), ("diagnostics", "diagnostics_by_arm")),
    ("search", "The search", ("best_so_far", "search"), ("failed", "flagged")),
    ("training", "Training", ("learning", "losses", "saved"), ()),
)


class _Figure(NamedTuple):
    """A figure on the page; its width is a share of the widest."""

    key: str
    title: str
    caption: str
    svg: Markup
    width: float


class _Section(NamedTuple):
    """A heading, its figures and its tables."""

    key: str
    title: str
    figures: list[_Figure]
    tables: list[Table]


def write(runs: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write the report of one run, or of several side by side.

    Args:
        runs: Run folders; a run may still be going on.
        out: Folder to write to; by default ``<run>/report``, for several ``report`` beside the first run.

    Returns:
        Path of ``index.html``; ``tables/`` and ``figures/`` stand beside it (by run, for several).

    Raises:
        ReportError: If there is no run, or one cannot be read.
    """
    if not runs:
        raise ReportError("report: no run was given; give the folder of a run, such as runs/NAME")
    found = [Findings(load(path)) for path in runs]
    folder = _folder([Path(path) for path in runs], out)
    slugs = _slugs(found)
    pages = [_page(one, slug, folder, alone=len(found) == 1) for one, slug in zip(found, slugs, strict=True)]
    compared = _compared(found, folder) if len(found) > 1 else None
    html = (
        _environment()
        .get_template("report.html.j2")
        .render(title=" · ".join(one.run.name for one in found), pages=pages, comparison=compared)
    )
    return _replace(folder / "index.html", html)


def _compared(found: list[Findings], folder: Path) -> _Section:
    """Write what stands above several runs' own pages, and gather it."""
    tables, drawn = side_by_side(found)
    for table in tables:
        files.write(table, folder / "tables")
    shown = [_figure(one, "comparison", folder / "figures") for one in drawn]
    return _Section("comparison", "Runs side by side", shown, tables)


def _folder(runs: list[Path], out: str | Path | None) -> Path:
    folder = Path(out) if out else (runs[0] if len(runs) == 1 else runs[0].resolve().parent) / "report"
    if folder.exists() and not folder.is_dir():
        raise ReportError(f"{folder}: is a file, expected a folder to write the report to")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _slugs(found: list[Findings]) -> list[str]:
    """A name for each run that is safe as a folder and as an id, and the run's own."""
    plain = [re.sub(r"[^A-Za-z0-9]+", "-", one.run.name).strip("-").lower() or "run" for one in found]
    return [slug if plain.count(slug) == 1 else f"{slug}-{index + 1}" for index, slug in enumerate(plain)]


def _replace(path: Path, text: str) -> Path:
    """Write a file so that it is there whole or as it was."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    return part.replace(path)


def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _page(found: Findings, slug: str, folder: Path, *, alone: bool) -> dict[str, Any]:
    """Write a run's figures and tables, and gather what the page says of it."""
    place = Path() if alone else Path(slug)
    drawn = {one.key: _figure(one, slug, folder / "figures" / place) for one in figures(found)}
    made = {table.key: table for table in [*tables(found), *_search_tables(found)]}
    for table in made.values():
        files.write(table, folder / "tables" / place)
    return {
        "slug": slug,
        "name": found.run.name,
        "finished": found.run.finished,
        "headline": headline(found),
        "tiles": tiles(found),
        "cautions": cautions(found),
        "sections": list(_sections(drawn, made)),
        "not_run": found.ablation_not_run,
        "protocol": protocol_lines(found),
        "selection": selection_lines(found),
        "provenance": provenance_lines(found),
        "tables_at": str(Path("tables") / place),
    }


def _figure(one: Drawn, slug: str, folder: Path) -> _Figure:
    text = themed(save(one, folder), f"{slug}-{one.key}")
    # Drawn by us from paths and numbers alone, comments removed: the one markup that is not escaped.
    return _Figure(one.key, one.title, one.caption, Markup(text), one.figure.get_figwidth() / WIDE)


def _sections(drawn: dict[str, _Figure], made: dict[str, Table]) -> Any:
    for key, title, figure_keys, table_keys in SECTIONS:
        shown = [drawn[name] for pattern in figure_keys for name in fnmatch.filter(drawn, pattern)]
        listed = [made[name] for name in table_keys if name in made]
        if shown or listed:
            yield _Section(key, title, shown, listed)


def _search_tables(found: Findings) -> list[Table]:
    """Failed and flagged arms, where there are any."""
    failed, flagged = search.failed(found.run), search.flagged(found.run)
    name = Column("Arm", lambda r: str(r.name), numeric=False)
    kind = Column("Kind", lambda r: str(r.kind), numeric=False)
    made = []
    if len(failed):
        columns = (
            name,
            kind,
            Column("Epochs", lambda r: f"{r.epochs}"),
            Column("Reason", lambda r: r.reason, numeric=False),
        )
        made.append(Table("failed", "Failed arms", "They take part in no choice and no comparison.", failed, columns))
    if len(flagged):
        flags = Column("Flags", lambda r: r.flags, numeric=False)
        passed = Column("Passed over", lambda r: "yes" if r.passed_over else "no", numeric=False)
        score = Column("Dev score, %", lambda r: share(r.score))
        note = "They cannot be chosen. Passed over: would have been chosen on its dev score but for its flag."
        made.append(Table("flagged", "Flagged arms", note, flagged, (name, kind, score, flags, passed)))
    return made


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
