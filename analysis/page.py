"""The page as HTML: one file that needs no network, with one script of ours that a policy allows by its hash."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files as package_files
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import jinja2
from markupsafe import Markup

from analysis import files, glossary
from analysis.figures import style
from analysis.figures.style import WIDE, Drawn
from analysis.table import Cell, Column, Table


class Figure(NamedTuple):
    """A figure on the page.

    Attributes:
        title: What it shows.
        caption: How to read it.
        svg: The drawing.
        width: Its share of the widest figure's width.
        at: Address of its files, relative to the page, without their ending.
        formats: The endings.
    """

    title: str
    caption: str
    svg: Markup
    width: float
    at: str
    formats: tuple[str, ...]


class Piece(NamedTuple):
    """A table on the page.

    Attributes:
        table: The table.
        heads: Its columns, and what each heading means.
        classes: Of its columns: ``number``, ``text``, or ``text long`` where the text may be set over several lines.
        lines: What is printed, with the numbers to sort by.
        latex: The table for a paper.
        csv: Its numbers as they are.
        at: Address of its files, relative to the page, without their ending.
    """

    table: Table
    heads: list[tuple[Column, str]]
    classes: list[str]
    lines: list[list[Cell]]
    latex: str
    csv: str
    at: str


class Section(NamedTuple):
    """A heading, its figures and its tables."""

    key: str
    title: str
    figures: list[Figure]
    tables: list[Piece]


def figure(drawn: Drawn, svg: str, slug: str, at: PurePosixPath) -> Figure:
    """A figure whose SVG is `svg`, with ids of its own; its files stand in the folder `at`."""
    # Drawn by us from paths and numbers, its titles escaped: the one markup that is not escaped here.
    text = Markup(style.themed(svg, f"{slug}-{drawn.key}"))
    width = drawn.figure.get_figwidth() / WIDE
    return Figure(drawn.title, drawn.caption, text, width, str(at / drawn.key), style.FORMATS)


def piece(table: Table, at: PurePosixPath) -> Piece:
    """A table whose files stand in the folder `at`."""
    heads = [(column, column.help or glossary.explain(column.heading)) for column in table.columns]
    lines = table.lines()
    classes = [_class(column, [line[place].text for line in lines]) for place, column in enumerate(table.columns)]
    return Piece(table, heads, classes, lines, files.latex(table), files.csv(table), str(at / table.key))


#: Letters from which on a text is long.
LONG = 14


def _class(column: Column, texts: Sequence[str]) -> str:
    if column.numeric:
        return "number"
    return "text long" if max(map(len, texts), default=0) > LONG else "text"


def render(title: str, pages: Sequence[Mapping[str, Any]], comparison: Section | None) -> str:
    """The whole page."""
    script = _text("report.js")
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            pages=pages,
            comparison=comparison,
            formats=", ".join(style.FORMATS).upper(),
            style=Markup(_text("report.css")),
            script=Markup(script),
            policy=policy(script),
        )
    )


def policy(script: str) -> str:
    """A Content-Security-Policy that runs this script, shows inline styles and pictures, and loads nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _text(name: str) -> str:
    return (package_files("analysis") / "templates" / name).read_text(encoding="utf-8")


@cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("analysis"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
