"""What a run leaves can be read by anybody without running anything: data formats only, and readers that stay so."""

import ast
import json
import struct
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
PACKAGES = ("sweeper", "analysis", "trainables", "search_spaces")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
#: Calls that can run what they read.
LOADERS = {"load", "loads", "Unpickler", "read_pickle", "unsafe_load", "full_load", "Loader", "FullLoader"}
#: Between processes of one cluster, through Ray or Tune's scratch folder: never of a run folder.
BETWEEN_PROCESSES = {"sweeper/groups.py", "sweeper/worker.py", "sweeper/recorder.py"}
OF_PICKLES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "torch"}


def loads(source: str) -> set[str]:
    """Names under which a piece of code could load something that executes."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module, name = node.value.id, node.attr
            if (module in OF_PICKLES and name in LOADERS) or (module == "yaml" and name in LOADERS | {"load_all"}):
                found.add(f"{module}.{name}")
            if module in ("pd", "pandas") and name == "read_pickle":
                found.add(f"{module}.{name}")
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle" and getattr(node.value, "value", True):
            found.add("allow_pickle")
        if isinstance(node, ast.ImportFrom) and node.module in OF_PICKLES - {"torch"}:
            found.add(f"from {node.module}")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec"):
            found.add(node.func.id)
    return found


@pytest.mark.parametrize(
    "source",
    [
        *("pickle.loads(x)", "cloudpickle.loads(x)", "torch.load(x)", "np.load(x, allow_pickle=True)", "eval(x)"),
        *("yaml.load(x, yaml.Loader)", "from pickle import loads", "pd.read_pickle(x)"),
    ],
)
def test_the_search_sees_a_loader(source):
    assert loads(source)


def test_no_reader_executes_what_it_reads():
    found = {path.relative_to(ROOT).as_posix(): loads(path.read_text(encoding="utf-8")) for path in MODULES}
    odd = {name: each for name, each in found.items() if each and name not in BETWEEN_PROCESSES}
    assert odd == {}


def test_yaml_of_strangers_constructs_plain_data_only(tmp_path):
    from sweeper import yamlfile
    from trainables.errors import InputError

    marker = tmp_path / "executed"
    (tmp_path / "study.yaml").write_text(f"name: !!python/object/apply:os.mkdir ['{marker}']\n")
    with pytest.raises(InputError):
        yamlfile.read(tmp_path / "study.yaml")
    assert not marker.exists()


def is_safetensors(content: bytes) -> bool:
    (length,) = struct.unpack("<Q", content[:8])
    return isinstance(json.loads(content[8 : 8 + length]), dict)


def is_text(content: bytes) -> bool:
    return "\0" not in content.decode("utf-8")


def is_parquet(content: bytes) -> bool:
    return content[:4] == content[-4:] == b"PAR1"


#: Suffix -> what such a file must be; whatever has another one is not known to be data.
FORMATS = {
    ".parquet": is_parquet,
    ".safetensors": is_safetensors,
    ".png": lambda content: content.startswith(b"\x89PNG"),
    ".pdf": lambda content: content.startswith(b"%PDF"),
    **dict.fromkeys((".json", ".jsonl", ".yaml", ".log", ".csv", ".tex", ".md", ".svg", ".html"), is_text),
}


def strangers(folder: Path) -> list[str]:
    """Files that are not what their name says, or say nothing."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (".lock", "lock")]
    assert files
    return [path.name for path in files if not _known(path)]


def _known(path: Path) -> bool:
    try:
        return FORMATS.get(path.suffix, lambda content: False)(path.read_bytes())
    except (ValueError, struct.error):
        return False


def test_a_pickle_under_any_name_is_seen(tmp_path):
    for name in ("a.parquet", "b.safetensors", "c.json", "d.pkl", "e.pt"):
        torch.save({"x": torch.ones(1)}, tmp_path / name)
    assert sorted(strangers(tmp_path)) == ["a.parquet", "b.safetensors", "c.json", "d.pkl", "e.pt"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_its_stages_and_its_report_are_data(quickstart):
    assert strangers(quickstart / "runs") == []
