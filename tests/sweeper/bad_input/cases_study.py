"""Study files that cannot be: their bytes, their YAML, their keys and values."""

from __future__ import annotations

import json
from pathlib import Path

from bad_case import STUDY, Case, Spoil, nothing, replaced, write

_HTML = "<script>alert(1)</script>"


def _file(name: str, content: str | bytes, *says: str) -> Case:
    """A study file of this content."""
    return Case(f"study: {name}", write("study.yaml", content), ("study.yaml", *says))


def _line(name: str, old: str, new: str, *says: str) -> Case:
    """The sound study with one piece of it replaced."""
    return Case(f"study: {name}", replaced("study.yaml", old, new), ("study.yaml", *says))


def _added(name: str, text: str, *says: str) -> Case:
    return _file(name, f"{STUDY}{text}\n", *says)


def _corpus_line(name: str, old: str, new: str, *says: str) -> Case:
    """As `_line`; what is said is of the place that the study names."""
    return Case(f"study: {name}", replaced("study.yaml", old, new), says)


def _corpus_added(name: str, text: str, *says: str) -> Case:
    return Case(f"study: {name}", write("study.yaml", f"{STUDY}{text}\n"), says)


def _bomb(levels: int) -> str:
    """Lists of ten aliases of lists of ten aliases: 10 ** levels values from a few lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join([*lines, f"seeds: *a{levels - 1}"])


def _section_bomb(levels: int) -> str:
    lines = ["s0: &s0 {x: 1}"]
    lines += [f"s{n}: &s{n} {{{', '.join(f'k{k}: *s{n - 1}' for k in range(10))}}}" for n in range(1, levels)]
    return "\n".join([*lines, f"config: *s{levels - 1}"])


def _merge_bomb(levels: int) -> str:
    lines = ["m0: &m0 {x: 1}"]
    lines += [f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}" for n in range(1, levels)]
    return "\n".join(lines)


def _folder(folder: Path) -> None:
    (folder / "study.yaml").unlink()
    (folder / "study.yaml").mkdir()


def _unreadable_link(folder: Path) -> None:
    (folder / "study.yaml").unlink()
    (folder / "study.yaml").symlink_to("study.yaml")


_NESTED: Spoil = write("study.yaml", "a: " + "[" * 5000 + "]" * 5000)

BYTES = (
    _file("empty", "", "must hold keys and values", "holds nothing"),
    _file("only a comment", "# nothing\n", "holds nothing"),
    _file("only spaces", "   \n\n", "holds nothing"),
    _file("zero bytes inside", STUDY.replace("small", "sm\0all"), "no valid YAML"),
    _file("all zero bytes", bytes(2000), "no valid YAML"),
    _file("binary", bytes(range(256)) * 8, "cannot be read as text", "UTF-8"),
    _file("an image", b"\x89PNG\r\n\x1a\n" + bytes(100), "cannot be read as text", "UTF-8"),
    _file("gzip", b"\x1f\x8b\x08\x00" + bytes(60), "cannot be read as text", "UTF-8"),
    _file("Latin-1", STUDY.replace("small", "größe").encode("latin-1"), "cannot be read as text", "UTF-8"),
    _file("UTF-16", STUDY.encode("utf-16"), "cannot be read as text", "UTF-8"),
    _file("UTF-16 without a mark", STUDY.encode("utf-16-le"), "no valid YAML"),
    _file("UTF-32", STUDY.encode("utf-32"), "cannot be read as text", "UTF-8"),
    _file("a mark in the middle", STUDY.replace("method", "\ufeffmethod"), "line 3"),
    _file("a pickle", b"\x80\x04\x95\x10\x00\x00\x00", "cannot be read as text"),
    _file("a control character", STUDY.replace("small", "sm\x07all"), "no valid YAML"),
    _file("escape codes of a terminal", STUDY.replace("small", '"\\e[31mred"'), "name: must be 1 to 100 letters"),
    _file("huge", "a: " + "x" * 3_000_000, "is larger than", "a study is a few kB"),
    _file("a JSON list", json.dumps([1, 2]), "holds a list"),
    _file("a CSV", "name,corpus\nsmall,toy\n", "holds a single value"),
    _file("HTML", f"<html><body>{_HTML}</body></html>", "must hold keys and values"),
    _file("Python", "import os\nos.system('true')\n", "must hold keys and values"),
    Case("study: a folder", _folder, ("study.yaml", "is a folder", "name a file of YAML")),
    Case("study: a link to itself", _unreadable_link, ("study.yaml", "cannot be read")),
    Case("study: none", nothing, ("nothing.yaml", "no such file", "study.yaml"), ("run", "nothing.yaml")),
    Case("study: the corpus instead", nothing, ("toy", "is a folder", "name a file of YAML"), ("run", "toy")),
    Case("study: a Parquet file", nothing, ("toy.parquet", "cannot be read"), ("run", "toy/toy.parquet")),
    Case("study: 300 characters of name", nothing, ("no such file",), ("run", "x" * 200 + ".yaml")),
    Case("study: too long a name", nothing, ("cannot be read",), ("run", "x" * 300 + ".yaml")),
    Case("study: a name with a line break", nothing, ("no such file",), ("run", "a\nb.yaml")),
)

YAML = (
    _line("tab", "  align:", "\talign:", "line 7", "no valid YAML"),
    _line("wrong indent", "  space:", " space:", "no valid YAML", "line"),
    _line("open bracket", "[0, 1]", "[0, 1", "no valid YAML", "line"),
    _line("open quote", "name: small", 'name: "small', "no valid YAML", "line"),
    _line("missing space", "name: small", "name:small", "no valid YAML", "line 2"),
    _line("missing colon", "name: small", "name small", "no valid YAML", "line 2"),
    _line("unknown anchor", "[0, 1]", "*seeds", "no valid YAML", "line 5", "seeds"),
    _line("unknown escape", "name: small", 'name: "sm\\qall"', "no valid YAML", "line 1"),
    _line("a Python object", "small", "!!python/object/apply:os.system [true]", "no valid YAML", "line 1"),
    _line("a Python tuple", "[0, 1]", "!!python/tuple [0, 1]", "no valid YAML", "line 5"),
    _line("a tag of its own", "small", "!mine small", "no valid YAML", "line 1"),
    _line("a wrong tag", "[0, 1]", "!!int [0, 1]", "no valid YAML", "line 5"),
    _line("a number that is none", "[0, 1]", "[!!int zero]", "no valid YAML"),
    _line("a truth value that is none", "[0, 1]", "[!!bool zero]", "no valid YAML"),
    _line("bytes that are none", "small", "!!binary abc", "no valid YAML"),
    _line("bytes", "small", "!!binary aGFsbG8=", "no valid YAML", "line 1", "binary"),
    _line("a set", "[0, 1]", "!!set {0, 1}", "no valid YAML", "line 5", "set"),
    _line("a date that is none", "small", "2024-99-99", "no valid YAML"),
    _line("a time that is none", "small", "2024-01-01 99:99:99", "no valid YAML"),
    _line("a date", "small", "2024-01-01", "name: must be text"),
    _line("an impossible sexagesimal", "[0, 1]", "[1:99:99]", "seeds.0: must be a whole number"),
    _line("digits without end", "trials: 10", f"trials: {'9' * 5000}", "no valid YAML"),
    _line("a key twice", "name: small", "name: small\nname: small", "line 2", "name: is given twice", "remove one"),
    _line("a deep key twice", "{epochs: 4}", "{epochs: 4, epochs: 4}", "line 7", "is given twice"),
    _line("a list as a key", "name: small", "name: small\n[a, b]: c", "line 2", "key"),
    _line("a mapping as a key", "name: small", "name: small\n{a: b}: c", "line 2", "key"),
    _line("a question mark key", "name: small", "name: small\n? [a]\n: b", "line 2", "key"),
    _line("an empty key", "name: small", "name: small\n'': b", "no such key"),
    _line("a number as a key", "name: small", "name: small\n3: b", "line 2", "3: a key must be text"),
    _line("null as a key", "name: small", "name: small\nnull: b", "a key must be text"),
    _line("a truth value as a key", "name: small", "name: small\nyes: b", "a key must be text"),
    _line("two documents", "method:", "---\nmethod:", "no valid YAML"),
    _line("a merge of text", "name: small", "name: small\n<<: text", "no valid YAML", "line 2"),
    _line("a merge of numbers", "name: small", "name: small\n<<: [1, 2]", "no valid YAML", "line 2"),
    _line("an alias of itself", "[0, 1]", "&s [*s]", "study.yaml", "alias"),
    _line("a section of itself", "{epochs: 4}", "&s {epochs: *s}", "alias"),
    _file("a list of itself", "&a [*a]", "aliases", "write it out"),
    _file("aliases without end", _bomb(9), "aliases", "write it out"),
    _file("sections without end", _section_bomb(8), "aliases", "write it out"),
    _file("merges without end", _merge_bomb(8), "aliases", "write it out"),
    Case("study: nested without end", _NESTED, ("study.yaml", "nested", "levels")),
    _file("braces without end", "a: " + "{b: " * 3000 + "1" + "}" * 3000, "nested", "levels"),
    _file("dashes without end", "- " * 3000 + "x", "nested", "levels"),
)

KEYS = (
    _line("unknown key", "seeds:", "seedz:", "line 5", "seedz: no such key", "did you mean seeds"),
    _line("unknown key in a section", "trials: 10", "trails: 10", "line 10", "did you mean search.trials"),
    _line("a key of markup", "seeds:", f"'{_HTML}':", "line 5", "no such key"),
    _line("a key of 300 letters", "seeds:", f"{'k' * 300}:", "line 5", "no such key"),
    _line("a key of Greek", "seeds:", "σπόροι:", "line 5", "σπόροι: no such key"),
    _line("a key with a line break", "seeds:", '"se\\neds":', "line 5", "no such key"),
    _line("no name", "name: small\n", "", "name: is required"),
    _line("no corpus", "corpus: toy\n", "", "corpus: is required"),
    _line("no method", "method: mi_infogan\n", "", "method: is required"),
    _line("no protocol", "protocol: {kind: leave-one-session-out}\n", "", "protocol: is required"),
    _line("no kind", "{kind: leave-one-session-out}", "{}", "protocol.kind: is required"),
    _line("only null", "name: small", "name: null", "line 1", "name: must be text"),
    *(
        _line(f"name {shown}", "name: small", f"name: {json.dumps(name)}", "line 1", "name: must be 1 to 100 letters")
        for shown, name in (
            ("with a slash", "a/b"),
            ("upwards", "../up"),
            ("absolute", "/tmp/x"),
            ("a dot", "."),
            ("with a backslash", "a\\b"),
            ("quoted", 'it\'s "quoted"'),
            ("of markup", _HTML),
            ("of Greek", "μελέτη"),
            ("of an emoji", "🙂"),
            ("of 300 letters", "n" * 300),
            ("empty", ""),
            ("of spaces", "   "),
            ("with a line break", "a\nb"),
            ("ending in a line break", "small\n"),
            ("with a zero byte", "a\0b"),
            ("of a shell", "$(true)"),
            ("of a hidden folder", ".hidden"),
            ("like an option", "-rf"),
        )
    ),
    _line("name a list", "name: small", "name: [a]", "name: must be text, found ['a']"),
    _line("name a number", "name: small", "name: 12", "name: must be text, found 12"),
    _line("method misspelt", "mi_infogan", "mi_infogann", "line 3", "method: there is no", "did you mean mi_infogan"),
    _line("method a path", "mi_infogan", "../../os", "method: there is no"),
    _line("method a module", "mi_infogan", "os.path", "method: there is no"),
    _line("method a list", "mi_infogan", "[mi_infogan]", "method: must be text"),
    _line("method of markup", "mi_infogan", _HTML, "method: there is no"),
    _line("method of 300 letters", "mi_infogan", "m" * 300, "method: there is no"),
)

VALUES = (
    _line("seeds of text", "[0, 1]", "[zero]", "line 5", "seeds.0: must be a whole number, found 'zero'"),
    _line("seeds negative", "[0, 1]", "[-1]", "seeds.0: must be at least 0"),
    _line("seeds not a number", "[0, 1]", "[.nan]", "seeds.0: must be a whole number"),
    _line("seeds infinite", "[0, 1]", "[.inf]", "seeds.0: must be a whole number"),
    _line("seeds too large", "[0, 1]", "[2147483648]", "seeds.0: must be below"),
    _line("seeds null", "[0, 1]", "[null]", "seeds.0: must be a whole number"),
    _line("seeds a mapping", "[0, 1]", "{a: 1}", "seeds: must be a list"),
    _line("seeds twice", "[0, 1]", "[1, 1]", "seeds: must not hold a value twice"),
    _line("seeds a range in words", "[0, 1]", "0-4", "seeds: must be a list"),
    _line("trials zero", "trials: 10", "trials: 0", "search.trials: must be at least 1"),
    _line("trials negative", "trials: 10", "trials: -5", "search.trials: must be at least 1"),
    _line("trials a fraction", "trials: 10", "trials: 2.5", "search.trials: must be a whole number"),
    _line("trials a truth value", "trials: 10", "trials: yes", "search.trials: must be a whole number"),
    _line("trials too many", "trials: 10", "trials: 1000000000", "search.trials: must be at most 100000"),
    _line("trials infinite", "trials: 10", "trials: .inf", "search.trials: must be a whole number"),
    _line("trials null", "trials: 10", "trials:", "search.trials: must be a whole number"),
    _line("weight negative", "{epochs: 4}", "{alpha: -1}", "config.align.alpha: must be at least 0, found -1"),
    _line("weight not a number", "{epochs: 4}", "{alpha: .nan}", "config.align.alpha: must be finite"),
    _line("weight infinite", "{epochs: 4}", "{alpha: .inf}", "config.align.alpha: must be finite"),
    _line("weight of text", "{epochs: 4}", "{alpha: lots}", "config.align.alpha: must be a number, found 'lots'"),
    _line("weight a list", "{epochs: 4}", "{alpha: [1, 2]}", "config.align.alpha: must be a number"),
    _line("weight a section", "{epochs: 4}", "{alpha: {x: 1}}", "config.align.alpha.x: no such field"),
    _line("weight beyond floats", "{epochs: 4}", "{alpha: 1e999}", "config.align.alpha: must be finite"),
    _line("weight a truth value", "{epochs: 4}", "{alpha: true}", "a truth value is not allowed"),
    _line("temperature zero", "{epochs: 4}", "{temperature: 0}", "config.align.temperature: must be"),
    _line("epochs zero", "{epochs: 4}", "{epochs: 0}", "config.align.epochs: must be at least 1"),
    _line("epochs beyond machines", "{epochs: 4}", "{epochs: 1e30}", "config.align.epochs: must be"),
    _line("config unknown field", "{epochs: 4}", "{epoch: 4}", "line 7", "did you mean align.epochs"),
    _line("config unknown section", "align: {epochs: 4}", "algin: {epochs: 4}", "line 7", "did you mean"),
    _line("config a list", "\n  align: {epochs: 4}", " [1]", "config: must be a section"),
    _line("config text", "\n  align: {epochs: 4}", " fast", "config: must be a section"),
    _line("config a section as a value", "{epochs: 4}", "4", "align: is a section"),
    _line("config of an empty key", "align: {epochs: 4}", "'': 4", "no such field"),
    _line("search a list", "search:\n  space: loss_weights\n  trials: 10", "search: [10]", "search: must be a section"),
    _line("space unknown", "loss_weights", "loss_weight", "search.space: there is no", "did you mean loss_weights"),
    _line("space a number", "loss_weights", "3", "search.space: must be the name of a space, or fields"),
    _line("space empty", "loss_weights", "{}", "search.space: is empty"),
    _line("space of no field", "loss_weights", "{align.gamma: {low: 0, high: 1}}", "search.space.align.gamma"),
    _line("space of a section", "loss_weights", "{align: {low: 0, high: 1}}", "is a section", "align.alpha"),
    _line("space of a markup field", "loss_weights", "{<b>: {low: 0, high: 1}}", "no such field"),
    *(
        _line(f"range {shown}", "loss_weights", f"{{align.alpha: {written}}}", "search.space.align.alpha", says)
        for shown, written, says in (
            ("upside down", "{low: 2, high: 1}", "must be below high"),
            ("of one value", "{low: 1, high: 1}", "must be below high"),
            ("half open", "{low: 1}", "needs low and high, or options"),
            ("empty", "{}", "needs low and high, or options"),
            ("and options", "{low: 1, high: 2, options: [1, 2]}", "not both"),
            ("a list", "[1, 2]", "must be a section"),
            ("a number", "1", "must be a section"),
            ("of text", "{low: small, high: big}", "low: must be a number"),
            ("negative", "{low: -1, high: 1}", "must be at least 0"),
            ("log from zero", "{low: 0, high: 1, log: true}", "must be above 0"),
            ("log of text", "{low: 1, high: 2, log: maybe}", "log: must be true or false"),
            ("log with steps", "{low: 1, high: 2, log: true, step: 0.1}", "step"),
            ("not a number", "{low: .nan, high: 1}", "must be finite"),
            ("infinite", "{low: 0, high: .inf}", "must be finite"),
            ("beyond floats", "{low: 0, high: 1e999}", "must be finite"),
            ("step zero", "{low: 0, high: 1, step: 0}", "step"),
            ("step negative", "{low: 0, high: 1, step: -0.1}", "step"),
            ("step too long", "{low: 0, high: 1, step: 5}", "step"),
            ("of no options", "{options: []}", "at least two values"),
            ("of one option", "{options: [1]}", "at least two values"),
            ("options twice", "{options: [1, 1]}", "values must differ"),
            ("options of text", "{options: [small, big]}", "must be a number"),
            ("options text", "{options: small}", "options: must be a list"),
            ("options nested", "{options: [[1], [2]]}", "must be a number"),
            ("options null", "{options: [null, 1]}", "must be a number"),
            ("options not a number", "{options: [.nan, 1]}", "must be finite"),
            ("unknown key", "{lo: 1, high: 2}", "no such key; did you mean"),
        )
    ),
    _line("range of halves for whole numbers", "loss_weights", "{generate.depth: {low: 1, high: 2.5}}", "whole number"),
    _line("range beyond whole numbers", "loss_weights", "{generate.depth: {low: 1, high: 1e300}}", "generate.depth"),
    _line("range of words", "loss_weights", "{augment.source: {low: 0, high: 1}}", "holds no number; give options"),
    _line("sampler unknown", "trials: 10", "trials: 10\n  sampler: grid", "search.sampler: must be 'tpe'"),
    _line("rows unknown", "rows: all", "rows: [Without everything]", "ablation.rows: there is no row"),
    _line("rows of numbers", "rows: all", "rows: [1]", "ablation.rows.0: must be text"),
    _line("rows a mapping", "rows: all", "rows: {a: 1}", "ablation.rows: must be paper, all, or a list"),
    _line("rows null", "rows: all", "rows:", "ablation.rows: must be paper, all, or a list"),
    _line("rows empty", "rows: all", "rows: []", "ablation.rows: is empty"),
    _line("rows around nothing", "rows: all", "around: middle", "ablation.around: must be 'best' or 'paper'"),
    _line("parameters unknown", "[align.alpha, generate.lambda_y]", "[align.x]", "sensitivity.parameters.align.x"),
    _line("parameters of numbers", "[align.alpha, generate.lambda_y]", "[1]", "sensitivity.parameters.0: must be text"),
    _line("parameters text", "[align.alpha, generate.lambda_y]", "some", "sensitivity.parameters: must be all, a list"),
    _line("values empty", "[align.alpha, generate.lambda_y]", "{align.alpha: []}", "align.alpha: has no values"),
    _line("values negative", "[align.alpha, generate.lambda_y]", "{align.alpha: [-1]}", "must be at least 0"),
    _line("values of text", "[align.alpha, generate.lambda_y]", "{align.alpha: [big]}", "must be a number"),
    _line("values mapping", "[align.alpha, generate.lambda_y]", "{align.alpha: [{a: 1}]}", "must be a number"),
    _added(
        "concurrent in words", "resources: {concurrent: lots}", "resources.concurrent: must be auto or a whole number"
    ),
    _added("concurrent a half", "resources: {concurrent: 1.5}", "resources.concurrent: must be a whole number"),
    _added("side by side in words", "resources: {side_by_side: all}", "side_by_side: must be auto or a whole number"),
    _added("GPUs in words", "resources: {gpus_per_trial: one}", "gpus_per_trial: must be auto or a number"),
    _added("GPUs infinite", "resources: {gpus_per_trial: .inf}", "gpus_per_trial: must be finite"),
    _added("CPUs not a number", "resources: {cpus_per_trial: .nan}", "cpus_per_trial: must be finite"),
    _added("CPUs negative", "resources: {cpus_per_trial: -2}", "cpus_per_trial: must be above 0"),
    _added("resources a list", "resources: [2]", "resources: must be a section"),
    _added("scheduler text", "scheduler: asha", "scheduler: must be a section"),
    _added("scheduler unknown", "scheduler: {kind: bohb}", "scheduler.kind: must be 'asha'"),
    _added("scheduler for nobody", "scheduler: {applies_to: [all]}", "applies_to.0: must be 'search'"),
    _added("grace of nothing", "scheduler: {grace_period: 0}", "grace_period: must be at least 1"),
    _added("grace beyond machines", f"scheduler: {{grace_period: 1{'0' * 30}}}", "line 14", "digits"),
    _added("chance beyond one", "scheduler: {kind: race, alpha: 1.5}", "scheduler.alpha: must be below 0.5"),
    _added("retries negative", "failures: {retries: -1}", "failures.retries: must be at least 0"),
    _added("limit zero", "failures: {limit: 0}", "failures.limit: must be at least 1"),
    _added("stages elsewhere", "stages: gs://bucket/x", "stages.folder: must be a folder or s3://bucket/prefix"),
    _added("stages with a password", "stages: s3://me:secret@bucket/x", "credentials come from the environment"),
    _added("stages of negative size", "stages: {limit: -5}", "stages.limit"),
    _added("stages of no size", "stages: {limit: plenty}", "stages.limit: must be a size such as 20 GB"),
    _added("stages a number", "stages: 7", "stages: must be a section"),
    _added("modalities unknown", "modalities: [audio, smell]", "modalities.1: must be 'audio', 'text' or 'video'"),
    _added("modalities text", "modalities: audio", "modalities: must be a list"),
    _added("modalities empty", "modalities: []", "modalities: must not be empty"),
    _added("modality that is needed left out", "modalities: [text]", "modalities: mi_infogan needs audio"),
    _added("features of no modality", "features: {smell: x}", "features: must be keyed by modality"),
    _added("features a number", "features: {audio: 3}", "features.audio: must be text"),
    _corpus_added("features unknown", "features: {audio: audio_other}", "no column 'audio_other'"),
    _added("where of numbers", "where: {session: 3}", "where.session: must be text, or a list of texts"),
    _added("where text", "where: s1", "where: must be a section"),
    _corpus_added("where unknown column", "where: {mood: happy}", "where.mood", "no such column"),
    _corpus_added("where unknown value", "where: {session: s9}", "where.session: no utterance", "there is s0"),
    _corpus_added("where nothing", "where: {session: []}", "where"),
    _corpus_added("where of nothing left", "where: {session: s0, speaker: s1F}", "where: no utterance"),
    _added("baseline unknown", "baselines: [linar]", "baselines: there is no other method", "linear"),
    _added("baseline itself", "baselines: [mi_infogan]", "baselines: there is no other method"),
    _added("baseline of numbers", "baselines: [1]", "baselines.0: must be text"),
    _added("baseline settings", "baselines: {linear: {fit.x: 1}}", "baselines", "fit.x: no such field"),
    _added("baseline settings text", "baselines: {linear: fast}", "baselines.linear: must be a section"),
    _added("baseline twice", "baselines: [linear, linear]", "baselines: must not hold a method twice"),
    _added("unlabeled for a method without", "unlabeled: toy", "does not train on unlabeled utterances"),
    _line("storage empty", "storage: runs", "storage: ''", "storage"),
    _line("storage a number", "storage: runs", "storage: 7", "storage: must be text"),
    _line("storage with a zero byte", "storage: runs", 'storage: "a\\0b"', "line 13", "storage: must hold no control"),
    _corpus_line("storage in a file", "storage: runs", "storage: study.yaml/runs", "study.yaml"),
    _corpus_line("storage too long", "storage: runs", f"storage: {'x' * 300}", "name too long"),
    _corpus_line("corpus missing", "corpus: toy", "corpus: nowhere", "nowhere", "does not exist", "folder of Parquet"),
    _corpus_line("corpus a file", "corpus: toy", "corpus: study.yaml", "is a file", "folder of Parquet"),
    _line("corpus with a zero byte", "corpus: toy", 'corpus: "a\\0b"', "line 2", "corpus: must hold no control"),
    _corpus_line("corpus of 300 letters", "corpus: toy", f"corpus: {'c' * 300}", "name too long"),
    _line(
        "corpus of a stranger's home",
        "corpus: toy",
        "corpus: ~nobody-here/x",
        "corpus: is in the home folder of somebody unknown",
    ),
    _line("corpus a list", "corpus: toy", "corpus: [toy]", "corpus: must be text"),
    _corpus_line("corpus of an address", "corpus: toy", "corpus: https://example.org/x", "does not exist"),
)

CASES = (*BYTES, *YAML, *KEYS, *VALUES)
