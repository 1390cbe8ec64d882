from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fake_run
import pytest
from hypothesis import settings

from analysis import report
from analysis.figures import style
from analysis.findings import Findings
from analysis.run import Run, load

# Nothing here is a statement about speed, and the machine may be busy.
settings.register_profile("analysis", deadline=None)
settings.load_profile("analysis")


@pytest.fixture(scope="session", autouse=True)
def _coarse_pictures() -> Iterator[None]:
    """No pictures but the SVG, which the page needs: what they show is tested on the numbers and on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 40)
        patch.setattr(style, "FORMATS", ("svg",))
        yield


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with every part there is; not to be changed."""
    return fake_run.write(tmp_path_factory.mktemp("runs") / "planted")


@pytest.fixture(scope="session")
def run(folder: Path) -> Run:
    return load(folder)


@pytest.fixture
def found(run: Run) -> Findings:
    return Findings(run)


@pytest.fixture(scope="session")
def bare_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An unfinished run of a search alone, without any optional table."""
    plan = fake_run.Plan(
        name="bare",
        folds=2,
        seeds=(0,),
        search=2,
        ablation={},
        control={},
        sensitivity={},
        stopped=0,
        failed=0,
        flagged=0,
        diagnostics=False,
        embeddings=False,
        finished=False,
    )
    return fake_run.write(tmp_path_factory.mktemp("runs") / "bare", plan)


@pytest.fixture(scope="session")
def several_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with three test conditions, and measures and kinds of vectors of its own."""
    return fake_run.write(tmp_path_factory.mktemp("runs") / "several", fake_run.several())


@pytest.fixture(scope="session")
def several(several_folder: Path) -> Run:
    return load(several_folder)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages without figures, which take most of their time."""
    monkeypatch.setattr(report, "figures", lambda found: [])


@pytest.fixture(scope="session")
def written(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the full run, with pictures in none but SVG; not to be changed."""
    return report.write([folder], tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="session")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of three runs, two of one name; the third has other folds."""
    folder = tmp_path_factory.mktemp("beside")
    bare = {"ablation": {}, "control": {}, "sensitivity": {}, "stopped": 0, "failed": 0, "flagged": 0, "search": 2}
    bare |= {"diagnostics": False, "embeddings": False}
    plans = {"a": {"name": "same"}, "b": {"name": "same", "base": 0.70}, "c": {"name": "Other one!", "folds": 2}}
    return report.write([fake_run.write(folder / key, fake_run.Plan(**bare, **plan)) for key, plan in plans.items()])


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run whose every name is markup, with an ablation row that became no arm."""
    plan = fake_run.Plan(
        name=fake_run.HOSTILE,
        classes=("<b>", "$x$", "a&b", "x" * 200),
        ablation={fake_run.HOSTILE: -0.05},
        corpus=fake_run.HOSTILE,
        warnings=(fake_run.HOSTILE,),
        search=3,
        stopped=0,
        flagged=0,
    )
    folder = fake_run.write(tmp_path_factory.mktemp("runs") / "hostile", plan)
    provenance = json.loads((folder / "provenance.json").read_text())
    provenance["ablation"]["Without what is not there"] = {"claim": "", "control": False, "published": []}
    (folder / "provenance.json").write_text(json.dumps(provenance))
    return report.write([folder])
