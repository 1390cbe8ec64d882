"""Quality of generated features: are they recognised as what they were generated for?"""

from __future__ import annotations

import pandas as pd

from analysis.diagnostics import fold_means
from analysis.run import Run


def recalls(run: Run, arm: str) -> pd.DataFrame:
    """Recall by class of the frozen classifier on real and on generated features.

    Returns:
        Indexed by class in the corpus's order: ``real``, ``real_std``, ``generated``, ``generated_std`` (spread
        over folds); empty when the arm generated nothing.
    """
    means = fold_means(run, arm)
    columns = {}
    for kind in ("real", "generated"):
        by_class = means[means["measure"] == f"recall_{kind}"].groupby("label")["value"]
        columns[kind], columns[f"{kind}_std"] = by_class.mean(), by_class.std(ddof=1)
    table = pd.DataFrame(columns)
    if table["generated"].isna().all():
        return table.iloc[:0]
    return table.reindex([name for name in run.classes if name in table.index]).rename_axis("class")
