import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from search_spaces.change import difference
from sweeper import yamlfile
from sweeper.study import Study, load, to_yaml
from trainables.errors import InputError
from trainables.mi_infogan.config import Config

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))

TEXT = """\
name: small
corpus: builtin
method: mi_infogan
protocol: {kind: leave-one-session-out}
seeds: [0, 1]
config:
  align: {epochs: 4}
search:
  space: loss_weights
  trials: 10
ablation: {rows: all}
sensitivity: {parameters: [align.alpha, generate.lambda_y]}
"""

SEARCH = "search:\n  space: loss_weights\n  trials: 10\n"

GOLDEN = """\
name: small
corpus: builtin
method: mi_infogan
protocol:
  kind: leave-one-session-out
{protocol}seeds:
- 0
- 1
modalities: null
features: null
where: null
unlabeled: null
config:
  align:
    epochs: 4
search:
  space: loss_weights
  trials: 10
  sampler: tpe
  seed: 0
ablation:
  rows: all
  factorial: []
  around: null
sensitivity:
  parameters:
  - align.alpha
  - generate.lambda_y
  around: null
baselines: []
scheduler:
  kind: asha
  grace_period: 3
  reduction_factor: 3
  rungs: epochs
  alpha: 0.05
  applies_to:
  - search
  - ablation
  - sensitivity
resources:
  concurrent: auto
  side_by_side: auto
  matmul: highest
  workers: 1
  groups: 1
  cpus_per_trial: 1.0
  gpus_per_trial: auto
failures:
  retries: 1
  limit: null
  hang: 1 h
stages:
  folder: null
  limit: 20 GB
  shared: true
storage: runs
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(TEXT, encoding="utf-8")
    return path


def _write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_small_study_is_read(file):
    study = load(file)
    assert (study.name, study.seeds, study.search.trials) == ("small", (0, 1), 10)
    assert difference(study.method_config(), Config()) == {"align.epochs": 4}
    assert study.run_folder == Path("runs/small")


def test_the_resolved_study_says_every_key(file):
    written = to_yaml(load(file))
    protocol = written.partition("out\n")[2].partition("seeds:")[0]
    assert written == GOLDEN.format(protocol=protocol)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_round_trip_is_equal(path, tmp_path):
    study = load(path)
    again = load(_write(tmp_path / "again.yaml", to_yaml(study)))
    assert again == study
    assert to_yaml(again) == to_yaml(study)


def test_a_round_trip_keeps_written_out_ranges_and_values(file, tmp_path):
    study = load(
        file,
        [
            "search.space={align.alpha: {low: 1e-2, high: 9, log: true}, generate.text: {options: [yes, no]}}",
            "sensitivity.parameters={align.temperature: [0.1, 0.5]}",
            "ablation.rows=[Without mixup]",
            "protocol.seeds=[7]",
        ],
    )
    assert load(_write(tmp_path / "again.yaml", to_yaml(study))) == study
    assert study.seeds == (7,)


def test_a_study_is_frozen(file):
    with pytest.raises(ValidationError, match="frozen"):
        load(file).name = "other"


def test_seeds_may_stand_inside_the_protocol(tmp_path):
    text = TEXT.replace("seeds: [0, 1]\n", "").replace("session-out}", "session-out, seeds: [4]}")
    path = _write(tmp_path / "study.yaml", text)
    assert load(path).seeds == (4,)
    assert load(path, ["seeds=[5]"]).seeds == (5,)


def test_a_bare_protocol_is_its_kind(tmp_path):
    text = TEXT.replace("{kind: leave-one-session-out}", "leave-one-speaker-out")
    assert load(_write(tmp_path / "study.yaml", text)).protocol.kind == "leave-one-speaker-out"


def test_config_may_be_nested_or_dotted(tmp_path):
    dotted = _write(tmp_path / "dotted.yaml", TEXT.replace("  align: {epochs: 4}", "  align.epochs: 4"))
    assert load(dotted).config == {"align": {"epochs": 4}}


def test_exponents_without_a_point_are_numbers(tmp_path):
    text = TEXT.replace("{epochs: 4}", "{learning_rate: 1e-4}")
    study = load(_write(tmp_path / "study.yaml", text))
    assert study.config == {"align": {"learning_rate": 1e-4}}


@pytest.mark.parametrize(
    ("assignment", "read"),
    [
        ("search.trials=3", lambda study: study.search.trials == 3),
        ("search=null", lambda study: study.search is None),
        ("seeds=[5, 6]", lambda study: study.seeds == (5, 6)),
        ("config.align.alpha=0.5", lambda study: study.config["align"] == {"epochs": 4, "alpha": 0.5}),
        ("config={}", lambda study: study.config == {}),
        ("modalities=[audio]", lambda study: study.modalities == ("audio",)),
        ("resources.concurrent=2", lambda study: study.resources.concurrent == 2),
        ("resources.gpus_per_trial=0.25", lambda study: study.resources.gpus_per_trial == 0.25),
        ("failures.limit=5", lambda study: study.failures.limit == 5),
        ("scheduler.applies_to=[search]", lambda study: study.scheduler.applies_to == ("search",)),
        ("scheduler.kind=race", lambda study: (study.scheduler.kind, study.scheduler.alpha) == ("race", 0.05)),
        ("scheduler.kind=none", lambda study: study.scheduler.kind == "none"),
        ("sensitivity.parameters=all", lambda study: study.sensitivity.parameters == "all"),
        ("storage=elsewhere=here", lambda study: study.storage == "elsewhere=here"),
    ],
)
def test_any_key_can_be_set(file, assignment, read):
    assert read(load(file, [assignment]))


def test_the_last_setting_of_a_key_wins(file):
    assert load(file, ["search.trials=3", "search.trials=4"]).search.trials == 4


@pytest.mark.parametrize(("text", "around"), [(TEXT, "best"), (TEXT.replace(SEARCH, ""), "paper")])
def test_arms_are_measured_from_the_best_where_there_is_a_search(tmp_path, text, around):
    study = load(_write(tmp_path / "study.yaml", text))
    assert study.around("ablation") == study.around("sensitivity") == around


def test_a_relative_corpus_is_sought_here_and_then_beside_the_file(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    (there / "data").mkdir(parents=True)
    here.mkdir()
    path = _write(there / "study.yaml", TEXT.replace("builtin", "data"))
    monkeypatch.chdir(here)
    assert load(path).corpus == str(there / "data")
    (here / "data").mkdir()
    assert load(path).corpus == str(here / "data")


def test_the_home_folder_may_be_written_as_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "corpora").mkdir()
    path = tmp_path / "study.yaml"
    path.write_text(
        "name: s\ncorpus: ~/corpora\nmethod: mi_infogan\nprotocol: leave-one-session-out\nstorage: ~/runs\n"
    )
    read = load(path)
    assert (read.corpus, read.run_folder) == (str(tmp_path / "corpora"), tmp_path / "runs" / "s")


def test_a_corpus_that_is_not_there_is_left_to_the_loader(tmp_path):
    path = _write(tmp_path / "study.yaml", TEXT.replace("builtin", "no/where"))
    assert load(path).corpus == "no/where"


def test_a_corpus_settles_modalities_and_columns(file):
    study = load(file).with_corpus({"audio": "audio_x", "text": "text_y"})
    assert (study.modalities, study.features) == (("audio", "text"), {"audio": "audio_x", "text": "text_y"})


SET = [
    ("search.trails=3", "search.trails: no such key; did you mean search.trials?"),
    ("serch.trials=3", "serch: no such key; did you mean search?"),
    ("nme=x", "nme: no such key; did you mean name?"),
    ("name=a/b", "name: must be 1 to 100 letters"),
    ("name=..", "name: must be 1 to 100 letters"),
    (f"name={'a' * 101}", "name: must be 1 to 100 letters"),
    ("name=3", "name: must be text, found 3"),
    ("method=mi-infogan", "method: there is no 'mi-infogan'; did you mean mi_infogan?"),
    ("corpus=", "corpus: must be text, found None"),
    ("storage=''", "storage: "),
    ("protocol.kind=loso", "protocol.kind: must be 'leave-one-speaker-out'"),
    ("protocol.kindd=x", "protocol.kindd: no such key; did you mean protocol.kind?"),
    ("protocol=4", "protocol: must be a section"),
    ("seeds=3", "seeds: must be a list, found 3"),
    ("seeds=[]", "seeds: must not be empty"),
    ("seeds=[1, 1]", "seeds: must not hold a value twice"),
    ("seeds=[-1]", "seeds.0: must be at least 0, found -1"),
    ("seeds=[true]", "seeds.0: must be a whole number, found True"),
    ("seeds=[0.5]", "seeds.0: must be a whole number"),
    ("seeds=[4294967296]", "seeds.0: must be below"),
    ("config.align.alfa=1", "config.align.alfa: no such field; did you mean align.alpha?"),
    ("config.align.alpha=-1", "config.align.alpha: must be at least 0, found -1"),
    ("config.align.epochs=true", "config.align.epochs: a truth value is not allowed"),
    ("config.align=3", "config.align: is a section"),
    ("config={align: {epochs: 3}, align.epochs.x: 3}", "both as a value and as a section"),
    ("search=yes", "search: must be a section"),
    ("search.trials=0", "search.trials: must be at least 1"),
    ("search.trials=many", "search.trials: must be a whole number, found 'many'"),
    ("search.sampler=grid", "search.sampler: must be 'tpe', 'random' or 'nsga2'"),
    ("search.space=loss_wights", "search.space: there is no 'loss_wights'; did you mean loss_weights?"),
    ("search.space=3", "search.space: must be the name of a space, or fields with their ranges, found 3"),
    ("search.space={}", "search.space: is empty"),
    ("search.space={align.alpha: 3}", "search.space.align.alpha: must be a section"),
    ("search.space={align.alpa: {low: 1, high: 2}}", "search.space.align.alpa: no such field; did you mean"),
    (
        "search.space={align.alpha: {lo: 1, high: 2}}",
        "search.space.align.alpha.lo: no such key; did you mean",
    ),
    ("search.space={align.alpha: {low: 1}}", "search.space.align.alpha: needs low and high, or options"),
    ("search.space={align.alpha: {low: 1, high: 2, options: [1, 2]}}", "not both"),
    ("search.space={align.alpha: {low: 2, high: 1}}", "search.space.align.alpha.low: must be below high"),
    ("search.space={align.alpha: {low: 0, high: 1, log: true}}", "must be above 0 on a log scale"),
    ("search.space={align.alpha: {low: -1, high: 1}}", "search.space.align.alpha: must be at least 0"),
    ("search.space={generate.depth: {low: 1, high: 9}}", "search.space.generate.depth: must be at most 6"),
    (
        "search.space={generate.depth: {low: 1.5, high: 3}}",
        "search.space.generate.depth.low: must be a whole",
    ),
    ("search.space={generate.text: {low: 0, high: 1}}", "the field holds no number; give options"),
    ("search.space={augment.source: {options: [real, fake]}}", "search.space.augment.source: must be"),
    ("search.space={augment.source: {options: [real]}}", "at least two values"),
    ("ablation.rows=some", "ablation.rows: must be paper, all, or a list of row names, found 'some'"),
    ("ablation.rows=[Without mixupp]", "ablation.rows: there is no row 'Without mixupp'; did you mean"),
    ("ablation.rows=[]", "ablation.rows: is empty"),
    ("ablation.factorial=[Without mixup]", "ablation.factorial: must name 2 to 5 different rows, found 1"),
    ("ablation.factorial=[Without mixup, Without mixup]", "ablation.factorial: must name 2 to 5 different rows"),
    ("ablation.factorial=[Without mixup, Without mixip]", "there is no row 'Without mixip'; did you mean"),
    (
        "ablation.factorial=[Without augmentation, Real features twice (no generation)]",
        "'Without augmentation' and 'Real features twice (no generation)' both change augment.source",
    ),
    ("ablation.around=worst", "ablation.around: must be 'best' or 'paper'"),
    (
        "sensitivity.parameters=[align.alhpa]",
        "sensitivity.parameters.align.alhpa: no such field; did you mean",
    ),
    ("sensitivity.parameters=[align.dropout]", "sensitivity.parameters.align.dropout: has no values"),
    ("sensitivity.parameters=[]", "sensitivity.parameters: is empty"),
    (
        "sensitivity.parameters={align.alpha: [1, -1]}",
        "sensitivity.parameters.align.alpha: must be at least 0",
    ),
    ("sensitivity.parameters={align.alpha: 3}", "sensitivity.parameters.align.alpha: must be a list"),
    ("modalities=[text]", "modalities: mi_infogan needs audio"),
    ("modalities=[]", "modalities: must not be empty"),
    ("modalities=[audio, audio]", "modalities: must not hold a value twice"),
    ("modalities=[adio]", "modalities.0: must be 'audio', 'text' or 'video'"),
    ("features={adio: x}", "features: must be keyed by modality; did you mean audio?"),
    ("scheduler.kind=hyperband", "scheduler.kind: must be 'asha', 'race' or 'none'"),
    ("scheduler.rungs=seconds", "scheduler.rungs: must be 'epochs' or 'stages'"),
    ("scheduler.alpha=0", "scheduler.alpha: must be above 0"),
    ("scheduler.alpha=0.5", "scheduler.alpha: must be below 0.5"),
    ("scheduler.reduction_factor=1", "scheduler.reduction_factor: must be at least 2"),
    ("scheduler.applies_to=[reference]", "scheduler.applies_to.0: must be 'search', 'ablation'"),
    ("resources.concurrent=0", "resources.concurrent: must be at least 1"),
    ("resources.concurrent=many", "resources.concurrent: must be auto or a whole number"),
    ("resources.gpus_per_trial=-1", "resources.gpus_per_trial: must be at least 0"),
    ("resources.cpus_per_trial=0", "resources.cpus_per_trial: must be above 0"),
    ("failures.retries=-1", "failures.retries: must be at least 0"),
    ("trials", "must have the form key=value"),
    ("=3", "must have the form key=value"),
    ("search.=3", "must have the form key=value"),
    ("name.first=3", "name is no section, it holds 'small'"),
    ("search.trials=[", "no valid YAML"),
]


@pytest.mark.parametrize(("assignment", "says"), SET, ids=[each[0][:40] for each in SET])
def test_a_bad_setting_is_refused_in_one_line_that_repeats_it(file, assignment, says):
    with pytest.raises(InputError) as caught:
        load(file, [assignment])
    message = str(caught.value)
    assert message.startswith(f"--set {assignment}: ")
    assert says in message
    assert "\n" not in message


def _without(key):
    return "".join(line + "\n" for line in TEXT.splitlines() if not line.startswith(f"{key}:"))


FILES = [
    (TEXT.replace("trials: 10", "trails: 10"), "line 10: search.trails: no such key"),
    (TEXT.replace("trials: 10", "trials: 0"), "line 10: search.trials: must be at least 1"),
    (TEXT.replace("{epochs: 4}", "{epochs: 0}"), "line 7: config.align.epochs: must be at least 1"),
    (TEXT.replace("method: mi_infogan", "method: infogan"), "line 3: method: there is no 'infogan'"),
    (TEXT + "seeds: [2]\n", "line 13: seeds: is given twice, first on line 5; remove one"),
    (TEXT.replace("{epochs: 4}", "{epochs: 4, epochs: 5}"), "line 7: config.align.epochs: is given twice"),
    (TEXT.replace("session-out}", "session-out, seeds: [1]}"), "line 4: seeds: are given twice"),
    (_without("name"), "name: is required"),
    (_without("corpus"), "corpus: is required"),
    (_without("protocol"), "protocol: is required"),
    (TEXT.replace("rows: all", "rows: all, around: best").replace(SEARCH, ""),
     "line 8: ablation.around: best needs a search; add one, or write around: paper"),
    ("", "must hold keys and values (key: value), holds nothing"),
    ("- 1\n- 2\n", "holds a list"),
    ("just words\n", "holds a single value"),
    ("name: [\n", "no valid YAML, line"),
    ("name: !!python/object/apply:os.getcwd []\n", "no valid YAML"),
    ("a: &a {b: *a}\n", "aliases stand for"),
    ("name: 2024-99-99\n", "no valid YAML"),
    ("1: x\n", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "says"), FILES, ids=range(len(FILES)))
def test_a_bad_file_is_refused_in_one_line_that_names_it(tmp_path, text, says):
    path = _write(tmp_path / "study.yaml", text)
    with pytest.raises(InputError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert says in message
    assert "\n" not in message


def test_a_missing_file_names_what_is_beside_it(file):
    with pytest.raises(InputError, match=r"there is no such file; in .* there is study.yaml"):
        load(file.with_name("stduy.yaml"))


def test_a_folder_or_a_binary_file_is_no_study(tmp_path):
    with pytest.raises(InputError, match="is a folder and cannot be read"):
        load(tmp_path)
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="cannot be read as text"):
        load(tmp_path / "x.yaml")


def test_without_text_a_space_of_text_terms_has_nothing_to_search(file):
    space = "search.space={align.alpha: {low: 0, high: 1}}"
    with pytest.raises(InputError, match=r"search\.space: nothing in it matters with these modalities"):
        load(file, [space, "modalities=[audio]"])


def test_overrides_leave_the_document_alone(file):
    document = yamlfile.read(file)
    yamlfile.override(document, ["config.align.epochs=9"])
    assert document.data == yaml.safe_load(TEXT)


def test_every_key_of_a_study_says_what_it_is():
    models = [Study, *(field.annotation for field in Study.model_fields.values())]
    ours = [
        each for each in models if getattr(each, "__module__", "") == "sweeper.study" and hasattr(each, "model_fields")
    ]
    assert len(ours) >= 4
    assert [name for each in ours for name, field in each.model_fields.items() if not field.description] == []


def test_a_corpus_that_lacks_what_the_study_needs_is_refused(file):
    with pytest.raises(InputError, match=r"modalities: mi_infogan needs audio, found text"):
        load(file).with_corpus({"text": "text_x"})
    both = load(file, ["config.augment.inputs=audio+text"])
    assert both.with_corpus({"audio": "a", "text": "b"}).modalities == ("audio", "text")
    with pytest.raises(InputError, match=r"config\.augment\.inputs: 'audio\+text' needs text"):
        both.with_corpus({"audio": "a"})


def test_a_second_corpus_needs_a_method_that_learns_from_it(file):
    with pytest.raises(InputError, match=r"unlabeled: mi_infogan does not train on unlabeled utterances; remove it"):
        load(file, ["unlabeled=builtin"])


def test_where_chooses_utterances_by_column(file):
    assert load(file, ["where.scenario=improvised"]).where == {"scenario": "improvised"}
    assert load(file, ["where={scenario: [improvised, read]}"]).where == {"scenario": ("improvised", "read")}
    with pytest.raises(InputError, match=r"where"):
        load(file, ["where.scenario=3"])


def test_baselines_are_other_methods_with_their_own_settings(file):
    study = load(file, ["baselines={linear: {fit.inputs: audio}, concat_mlp: }"])
    assert list(study.baseline_configs()) == ["linear", "concat_mlp"]
    assert study.baseline_configs()["linear"].fit.inputs == "audio"
    assert list(load(file, ["baselines=[linear]"]).baseline_configs()) == ["linear"]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("[linaer]", r"baselines: there is no other method 'linaer'; did you mean linear"),
        ("[mi_infogan]", "baselines: there is no other method 'mi_infogan'"),
        ("{linear: {fit: {depth: 3}}}", r"baselines.*fit\.depth"),
        ("3", "baselines: must be a list of methods, or methods with changes to their defaults"),
    ],
)
def test_a_baseline_that_cannot_be_trained_is_refused(file, written, says):
    with pytest.raises(InputError, match=says):
        load(file, [f"baselines={written}"])


def test_a_baseline_needs_its_modalities(file):
    study = load(file, ["baselines={linear: {fit.inputs: text}}"])
    with pytest.raises(InputError, match=r"baselines\.linear: its inputs need text, found audio"):
        study.with_corpus({"audio": "a"})


def _with_stages(folder, stages):
    return load(_write(folder / "study.yaml", TEXT + yamlfile.dump({"stages": stages})))


@pytest.mark.parametrize(
    ("given", "folder", "limit"),
    [
        ({}, "runs/.stages", 20e9),
        ("s3://lab/some/prefix", "s3://lab/some/prefix", 20e9),
        ("/nfs/stages", "/nfs/stages", 20e9),
        (False, "runs/small/stages", 20e9),
        ({"limit": "1.5 GB"}, "runs/.stages", 1.5e9),
        ({"limit": 12345}, "runs/.stages", 12345),
        ({"folder": "x", "limit": "2 GiB"}, "{here}/x", 2 * 2**30),
    ],
)
def test_stages_have_short_forms_and_come_back_equal(tmp_path, monkeypatch, given, folder, limit):
    monkeypatch.chdir(tmp_path)
    folder = folder.format(here=tmp_path)
    study = _with_stages(tmp_path, given)
    assert (study.stage_folder, study.stages.limit) == (folder, limit)
    assert Study.model_validate(yamlfile.parse(to_yaml(study), "")) == study


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"foldr": "x"}, "stages.foldr: no such key; did you mean stages.folder?"),
        ({"limit": "20 XB"}, "stages.limit: must be a size such as 20 GB, found '20 XB'"),
        ({"limit": "much"}, "stages.limit: must be a size such as 20 GB, found 'much'"),
        ({"limit": True}, "stages.limit: must be a size such as 20 GB, found True"),
        ({"shared": "no"}, "stages.shared: must be true or false, found 'no'"),
        ("gs://lab/x", "stages.folder: must be a folder or s3://bucket/prefix"),
        ("s3://key:secret@lab/x", "stages.folder: must be a folder or s3://bucket/prefix"),
        (5, "stages: must be a section of keys and values, found 5"),
    ],
)
def test_stages_that_cannot_be_are_refused(tmp_path, given, said):
    with pytest.raises(InputError, match=re.escape(said)):
        _with_stages(tmp_path, given)
