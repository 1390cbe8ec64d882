"""The directions in which the packages may know each other, read off the syntax trees."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("trainables", "search_spaces", "sweeper", "analysis")
#: Package -> what it must not import, at any depth of its code.
FORBIDDEN = {
    "trainables": {"ray", "optuna", "search_spaces", "sweeper", "analysis"},
    "search_spaces": {"ray", "optuna", "torch", "sweeper", "analysis"},
    # Importance is Optuna's; its samplers and studies are the engine's and stay there.
    "analysis": {"ray", "torch", "trainables", "search_spaces", "sweeper"},
    "sweeper": set(),
}
#: The only modules that know the engine.
ENGINE = {
    f"sweeper/{name}.py"
    for name in (
        "runner",
        "recorder",
        "connect",
        "failure",
        "hanging",
        "worker",
        "trainer",
        "searcher",
        "scheduler",
        "features",
        "groups",
        "lost",
    )
}
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def imports(source: str) -> set[str]:
    """Top-level names of the modules a piece of code imports, wherever in it; types-only ones too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_the_reader_sees_every_form_of_import():
    source = "import a.b as c\nfrom d.e import f\nfrom . import g\ndef h():\n    import i\n"
    assert imports(source) == {"a", "d", "i"}


def test_there_are_modules_to_look_at():
    assert {_name(path).partition("/")[0] for path in MODULES} == set(PACKAGES)


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_point_one_way(path):
    package = _name(path).partition("/")[0]
    assert imports(path.read_text(encoding="utf-8")) & FORBIDDEN[package] == set()


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_imports_stay_inside_by_full_name(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level > 0]


def test_the_engine_is_known_in_a_few_modules_only():
    knowing = {_name(path) for path in MODULES if {"ray", "optuna"} & imports(path.read_text(encoding="utf-8"))}
    assert knowing <= ENGINE | {"analysis/importance.py"}


def loaded_by(*modules: str) -> set[str]:
    """Top-level packages in memory after importing modules in a fresh process."""
    code = f"import sys\nimport {', '.join(modules)}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        (("trainables.mi_infogan.config", "search_spaces.mi_infogan"), {"torch", "ray"}),
        (("search_spaces", "sweeper.study", "sweeper.arms", "sweeper.export"), {"torch", "ray"}),
        (("sweeper.cli",), {"torch", "ray", "pandas", "numpy", "pyarrow", "pydantic", "yaml"}),
        (("sweeper.predict", "sweeper.final"), {"ray"}),
        (("sweeper.worker",), {"torch"}),
        (("analysis",), {"torch", "ray"}),
        (("analysis.report",), {"torch", "ray", "optuna"}),
    ],
    ids=lambda value: "+".join(sorted(value)),
)
def test_light_modules_load_nothing_heavy(modules, absent):
    assert loaded_by(*modules) & absent == set()


def test_what_a_process_loads_is_seen():
    assert "yaml" in loaded_by("sweeper.yamlfile")


def test_every_package_says_that_it_is_typed():
    assert [package for package in PACKAGES if not (ROOT / package / "py.typed").is_file()] == []
