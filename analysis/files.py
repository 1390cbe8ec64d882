"""Tables as files: CSV with the numbers as they are, LaTeX with what is printed."""

from __future__ import annotations

import re
from pathlib import Path

from analysis.table import Column, Table

#: Text longer than this, in letters, is set over several lines.
LONG = 40

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}", "±": r"$\pm$", "−": "$-$", "—": "--", "–": "--", "†": r"$\dagger$", "×": r"$\times$",
    "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\rightarrow$", "²": "$^2$", "…": r"\dots{}",
    "\n": " ", "\r": " ", "\t": " ", "*": r"\textasteriskcentered{}", "-": "-{}",
}  # fmt: skip
# A hyphen is touched only before another one, where TeX would join them into a dash.
_SPECIAL = re.compile("|".join(["-(?=-)", *(re.escape(letter) for letter in _LATEX if letter != "-")]))


def latex_escape(text: str) -> str:
    """Text that LaTeX prints as it stands, whatever it holds."""
    return _SPECIAL.sub(lambda match: _LATEX[match.group()], text)


def _align(column: Column, cells: list[str]) -> str:
    """Numbers to the right; text to the left, over several lines where it is long."""
    if column.numeric:
        return "r"
    return r"p{0.3\linewidth}" if max(map(len, cells), default=0) > LONG else "l"


def latex(table: Table) -> str:
    """A booktabs table with caption and label; needs only the booktabs package."""
    rows = table.cells()
    align = "".join(_align(column, [cells[i] for cells in rows]) for i, column in enumerate(table.columns))
    head = " & ".join(latex_escape(column.heading) for column in table.columns)
    body = [" & ".join(map(latex_escape, cells)) + r" \\" for cells in rows]
    caption = f"{latex_escape(table.title)}. {latex_escape(table.full_note)}"
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{caption}}}",
            rf"  \label{{tab:{table.key.replace('_', '-')}}}",
            rf"  \begin{{tabular}}{{{align}}}",
            r"    \toprule",
            rf"    {head} \\",
            r"    \midrule",
            *(f"    {line}" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def csv(table: Table) -> str:
    """All numbers of a table as they are."""
    return table.frame.to_csv(index=False)


def write(latex_text: str, csv_text: str, path: Path) -> None:
    """Write a table as ``PATH.tex`` and ``PATH.csv``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name(f"{path.name}.tex").write_text(latex_text, encoding="utf-8")
    path.with_name(f"{path.name}.csv").write_text(csv_text, encoding="utf-8")
