"""The study file: one published experiment (search, ablation, sensitivity) in one YAML file.

`load` reads, overrides and checks it before any work starts. Every refusal is one line that names the file,
the line, the dotted key, what was found and what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    Discriminator,
    Field,
    PlainSerializer,
    PrivateAttr,
    StrictBool,
    StrictInt,
    Tag,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from search_spaces.change import FORMS, apply, describe, did_you_mean, flatten
from sweeper import address as addresses
from sweeper import yamlfile
from trainables.conditions import MODALITIES
from trainables.errors import InputError
from trainables.methods import config_of
from trainables.protocols import Protocol
from trainables.section import Section

#: Arms other than the reference, in the order in which a study runs them.
Kind = Literal["search", "ablation", "sensitivity"]


def _form(value: Any) -> str:
    """Which form of a key that has several was used; pydantic then reports on that form alone."""
    if isinstance(value, str):
        return "<text>"
    if isinstance(value, Mapping):
        return "<mapping>"
    if isinstance(value, list | tuple):
        return "<list>"
    return "<number>" if isinstance(value, int | float) and not isinstance(value, bool) else "<other>"


def _forms(message: str, word: str | None = None) -> Discriminator:
    """The forms of a value; ``word`` is the only text among them."""

    def form(value: Any) -> str:
        return "<other>" if word is not None and isinstance(value, str) and value != word else _form(value)

    return Discriminator(form, custom_error_type="form", custom_error_message=message)


def _usable(path: str) -> str:
    """A path that the system can at least be asked for."""
    if not path.isprintable():
        raise ValueError("must hold no control characters, such as line feeds or a zero byte")
    try:
        Path(path).expanduser()
    except RuntimeError:
        raise ValueError("is in the home folder of somebody unknown here; write the folder out") from None
    return path


Place = Annotated[str, Field(min_length=1), AfterValidator(_usable)]


class Ranges(Section):
    """A range written in the study file: ``{low, high, log, step}`` or ``{options}``."""

    low: float | None = None
    """Smallest value, inclusive."""
    high: float | None = None
    """Largest value, inclusive."""
    log: bool = False
    """Sample evenly in the logarithm."""
    step: float | None = None
    """Distance between allowed values."""
    options: tuple[Any, ...] | None = None
    """The values themselves, instead of bounds."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        bounds = self.low is not None and self.high is not None
        if self.options is None and not bounds:
            raise ValueError("needs low and high, or options")
        if self.options is not None and any(each is not None for each in (self.low, self.high, self.step)):
            raise ValueError("takes low and high, or options, not both")
        return self

    @model_serializer
    def _what_is_set(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in values.items()
            if value is not None and value is not False
        }


class Search(Section):
    """The search: arms suggested by Optuna, chosen on the dev part."""

    space: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[dict[str, Ranges], Tag("<mapping>")],
        _forms("must be the name of a space, or fields with their ranges"),
    ] = ""
    """A space of the method by name, or ranges by field path; the method's own default when left out."""
    trials: StrictInt = Field(32, ge=1, le=100_000)
    """Number of search arms."""
    sampler: Literal["tpe", "random", "nsga2"] = "tpe"
    """Optuna's sampler."""
    seed: StrictInt = Field(0, ge=0)
    """The sampler's seed: the same study gets the same suggestions."""


class Ablation(Section):
    """The ablation: named replacements in one config, one arm each."""

    rows: Annotated[
        Annotated[str, Tag("<text>")] | Annotated[tuple[str, ...], Tag("<list>")],
        _forms("must be paper, all, or a list of row names"),
    ] = "all"
    """``paper`` (the paper's rows), ``all`` (and our controls), or row names."""
    factorial: tuple[str, ...] = ()
    """Names of two to five rows that are also combined in every way, for main effects and interactions."""
    around: Literal["best", "paper"] | None = None
    """What rows are measured from: the arm the search chose, or the study's own config (paper's defaults)."""


class Sensitivity(Section):
    """The sensitivity: one field at a time, the others kept."""

    parameters: Annotated[
        Annotated[Literal["all"], Tag("<text>")]
        | Annotated[tuple[str, ...], Tag("<list>")]
        | Annotated[dict[str, tuple[Any, ...]], Tag("<mapping>")],
        _forms("must be all, a list of fields, or fields with their values", "all"),
    ] = "all"
    """``all`` grids of the method, some of them by field path, or values by field path."""
    around: Literal["best", "paper"] | None = None
    """As in the ablation."""


class Scheduler(Section):
    """Early stopping of arms."""

    kind: Literal["asha", "race", "none"] = "asha"
    """``asha`` keeps the best share of arms at each rung; ``race`` drops arms that are significantly worse than the
    best one there; ``none`` trains every arm to its end."""
    grace_period: StrictInt = Field(3, ge=1)
    """Classifying epochs that every arm gets, in each stage where rungs go by stage."""
    reduction_factor: StrictInt = Field(3, ge=2)
    """The next rung is so many times as far; of ``asha``, one in so many arms goes on at each."""
    rungs: Literal["epochs", "stages"] = "epochs"
    """Where arms are compared: after grace period x reduction factor ** k classifying epochs of whatever stages, or
    (``stages``) at each stage's end and the shares 1 / reduction factor, its square... of it: for unlike lengths."""
    alpha: float = Field(0.05, gt=0, lt=0.5)
    """Of ``race``: chance at most with which an arm as good as every other may be dropped."""
    applies_to: tuple[Kind, ...] = ("search", "ablation", "sensitivity")
    """Kinds of arms that may be stopped; the reference never is."""


class Resources(Section):
    """What one arm gets, and how many run at a time."""

    concurrent: Annotated[
        Annotated[Literal["auto"], Tag("<text>")] | Annotated[StrictInt, Field(ge=1), Tag("<number>")],
        _forms("must be auto or a whole number", "auto"),
    ] = "auto"
    """Arms at a time; ``auto`` fills the cluster."""
    side_by_side: Annotated[
        Annotated[Literal["auto"], Tag("<text>")] | Annotated[StrictInt, Field(ge=1), Tag("<number>")],
        _forms("must be auto or a whole number", "auto"),
    ] = "auto"
    """Arms that are trained as one stack, with the CPUs and GPUs of one. Worth it for small corpora and on a GPU;
    ``auto`` is 1 on CPUs."""
    matmul: Literal["highest", "high", "medium"] = "highest"
    """Precision of matrix products: ``highest`` is float32, ``high`` TF32 on a GPU, ``medium`` bfloat16 inside a
    product. Encoders that are fine-tuned have one of their own."""
    workers: StrictInt = Field(1, ge=1)
    """Workers that split each step of a stage that fine-tunes encoders (Ray Train); every other stage has one."""
    groups: StrictInt = Field(1, ge=1)
    """Such groups of workers at a time, to which the folds of an arm are dealt."""
    cpus_per_trial: float = Field(1.0, gt=0)
    """CPU cores of an arm; with several workers, of each."""
    gpus_per_trial: Annotated[
        Annotated[Literal["auto"], Tag("<text>")] | Annotated[float, Field(ge=0), Tag("<number>")],
        _forms("must be auto or a number", "auto"),
    ] = "auto"
    """GPUs of an arm, shares allowed; ``auto`` decides from the cluster. With several workers, of each."""

    @property
    def spread(self) -> int:
        """Workers of an arm in all groups; 1 is the arm's own process."""
        return self.workers * self.groups

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.spread > 1 and self.side_by_side not in ("auto", 1):
            raise ValueError("side_by_side shares a device between arms, workers and groups share an arm: use one")
        return self


_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def _seconds(value: Any) -> Any:
    """A time as people write it, in seconds."""
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,6})?)\s*(s|min|h)\s*", value) if isinstance(value, str) else None
    seconds = float(found[1]) * _UNITS[found[2]] if found else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e9:
        raise ValueError("must be seconds, or a time such as 30 min or 2 h")
    return float(seconds)


def duration(seconds: float) -> str | float:
    """Seconds as people write them, where that says it exactly."""
    for unit, scale in reversed(_UNITS.items()):
        if seconds % scale == 0:
            return f"{seconds / scale:.0f} {unit}"
    return seconds


Duration = Annotated[float, BeforeValidator(_seconds), PlainSerializer(duration)]


class Failures(Section):
    """What happens when an arm fails."""

    retries: StrictInt = Field(1, ge=0)
    """How often an arm whose worker died is tried again."""
    limit: StrictInt | None = Field(None, ge=1)
    """Stop the run after so many failed arms, and again after so many more when it is gone on with; None never
    stops."""
    hang: Duration | None = 3600.0
    """An arm that reports no epoch for so long is ended and counts as one whose worker died: seconds, or text such as
    ``30 min``; None waits for ever."""


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a size such as 20 GB")
    return value


def _in_words(size: int) -> str | int:
    """A size as people write it, where that says it exactly."""
    for unit, scale in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size and size % scale == 0:
            return f"{size // scale} {unit}"
    return size


Size = Annotated[ByteSize, BeforeValidator(_no_truth), PlainSerializer(_in_words)]


class Stages(Section):
    """Trained stages, kept so that no arm of any run trains them again; may be written as the folder alone, or off."""

    folder: Place | None = None
    """A folder that runs share, or ``s3://bucket/prefix``; ``.stages`` beside the run folder when left out."""
    limit: Size = ByteSize(20_000_000_000)
    """What was used least recently is removed above this, but nothing that a run still needs."""
    shared: StrictBool = True
    """If false, stages stay in the run folder, for this run alone, and are removed at its end."""

    @field_validator("folder")
    @classmethod
    def _known_place(cls, folder: str | None) -> str | None:
        if folder and "://" in folder and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]+(/[^@?#]*)?", folder):
            raise ValueError("must be a folder or s3://bucket/prefix (credentials come from the environment)")
        return folder

    @model_validator(mode="before")
    @classmethod
    def _short_forms(cls, data: Any) -> Any:
        if isinstance(data, str):
            return {"folder": data}
        return {"shared": data} if isinstance(data, bool) else data


class Study(Section):
    """A whole experiment, as written in a study file; frozen, checked, equal after a round trip."""

    name: str
    """Name of the run folder: letters, digits, dots, dashes and underscores, at most 100."""
    corpus: Place
    """A folder of Parquet files, or ``builtin``."""
    method: str
    """Name of the method (`sweeper list`)."""
    protocol: Protocol
    """How the corpus is cut into folds."""
    seeds: tuple[Annotated[StrictInt, Field(ge=0, lt=2**31)], ...] = (0, 1, 2)
    """Every fold is trained once with each; may also be written inside ``protocol``."""
    modalities: tuple[Literal["audio", "text", "video"], ...] | None = None
    """What is used of the corpus; None takes all it has."""
    features: dict[str, str] | None = None
    """Feature column by modality, where the corpus has several."""
    where: (
        dict[
            str,
            Annotated[
                Annotated[str, Tag("<text>")] | Annotated[tuple[str, ...], Tag("<list>")],
                _forms("must be text, or a list of texts"),
            ],
        ]
        | None
    ) = None
    """Use only utterances with these values of these columns, such as ``{scenario: improvised}``."""
    unlabeled: Place | None = None
    """A second corpus, whose utterances a semi-supervised method trains on without their labels."""
    config: dict[str, Any] = Field({})
    """Fixed changes to the paper's defaults, nested as the method's config."""
    search: Search | None = None
    """The search, if any."""
    ablation: Ablation | None = None
    """The ablation, if any."""
    sensitivity: Sensitivity | None = None
    """The sensitivity, if any."""
    baselines: Annotated[
        Annotated[tuple[str, ...], Tag("<list>")] | Annotated[dict[str, dict[str, Any] | None], Tag("<mapping>")],
        _forms("must be a list of methods, or methods with changes to their defaults"),
    ] = ()
    """Other methods, trained once on the same folds and seeds and compared like ablation rows."""
    scheduler: Scheduler = Scheduler()
    """Early stopping."""
    resources: Resources = Resources()
    """Resources of an arm."""
    failures: Failures = Failures()
    """Failed arms."""
    stages: Stages = Stages()
    """Stages that runs share."""
    storage: Place = "runs"
    """Folder in which the run folder is made, or ``s3://bucket/prefix``; ``~`` is the home folder."""
    #: See `copies`.
    _copies: tuple[str, ...] | None = PrivateAttr(None)

    @model_validator(mode="before")
    @classmethod
    def _bare_protocol(cls, data: Any) -> Any:
        """Let ``protocol`` be a bare kind."""
        if isinstance(data, Mapping) and isinstance(data.get("protocol"), str):
            return {**data, "protocol": {"kind": data["protocol"]}}
        return data

    @field_validator("name")
    @classmethod
    def _safe_in_a_path(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name):
            raise ValueError("must be 1 to 100 letters, digits, dots, dashes or underscores, a letter or digit first")
        return name

    @field_validator("storage")
    @classmethod
    def _known_place(cls, storage: str) -> str:
        if addresses.is_remote(storage) and not addresses.is_s3(storage):
            raise ValueError("must be a folder or s3://bucket/prefix (credentials come from the environment)")
        return storage

    @field_validator("seeds", "modalities")
    @classmethod
    def _some_and_different(cls, values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        if values is not None and not values:
            raise ValueError("must not be empty")
        if values is not None and len(set(values)) < len(values):
            raise ValueError("must not hold a value twice")
        return values

    @field_validator("features")
    @classmethod
    def _features_of_modalities(cls, features: dict[str, str] | None) -> dict[str, str] | None:
        for modality in features or {}:
            if modality not in MODALITIES:
                raise ValueError(f"must be keyed by modality{did_you_mean(modality, MODALITIES)}")
        return features

    @field_validator("config")
    @classmethod
    def _nest(cls, config: dict[str, Any]) -> dict[str, Any]:
        nested: dict[str, Any] = {}
        for path, value in flatten(config).items():
            *sections, name = path.split(".")
            inside = nested
            for section in sections:
                inside = inside.setdefault(section, {})
                if not isinstance(inside, dict):
                    raise ValueError(f"holds {section} both as a value and as a section")
            inside[name] = value
        return nested

    @property
    def run_folder(self) -> Path:
        """Where the run's tables are written on this machine; see `address`."""
        if addresses.is_remote(self.storage):
            return addresses.copy_of(self.address)
        return Path(self.storage).expanduser() / self.name

    @property
    def address(self) -> str:
        """What the run is called in commands: its folder, or ``s3://bucket/prefix/name``."""
        remote = addresses.is_remote(self.storage)
        return addresses.join(self.storage, self.name) if remote else str(self.run_folder)

    @property
    def stage_folder(self) -> str:
        """Where trained stages are kept: a path, or ``s3://bucket/prefix``."""
        remote = addresses.is_remote(self.storage)
        if not self.stages.shared:
            return f"{self.address}/stages" if remote else str(self.run_folder / "stages")
        folder = self.stages.folder
        if folder is None:
            # Of a run in a bucket too, so that another machine goes on in the middle of its arms.
            return addresses.join(self.storage, ".stages") if remote else str(self.run_folder.parent / ".stages")
        return folder if "://" in folder else str(Path(folder).expanduser())

    def method_config(self) -> BaseModel:
        """The paper's defaults with the study's ``config`` applied.

        Raises:
            InputError: If a field is unknown or a value refused.
        """
        return apply(config_of(self.method)(), flatten(self.config))

    def baseline_configs(self) -> dict[str, BaseModel]:
        """The config of each baseline, by method.

        Raises:
            InputError: If a method or a field is unknown or a value refused.
        """
        asked = self.baselines if isinstance(self.baselines, Mapping) else dict.fromkeys(self.baselines)
        return {method: apply(config_of(method)(), flatten(changes or {})) for method, changes in asked.items()}

    def around(self, kind: Literal["ablation", "sensitivity"]) -> Literal["best", "paper"]:
        """What these arms are measured from; unless stated, the best arm where there is a search."""
        section = cast(Ablation | Sensitivity | None, getattr(self, kind))
        stated = section.around if section else None
        return stated or ("best" if self.search else "paper")

    @property
    def copies(self) -> tuple[str, ...] | None:
        """Augmentations that the corpus has copies of its recordings by; None while that is open."""
        return self._copies

    def with_corpus(self, columns: Mapping[str, str], copies: Iterable[str] = ()) -> Study:
        """The study with the modalities and feature columns filled in that a loaded corpus settled.

        Args:
            columns: Feature column by modality, as in ``Corpus.columns``.
            copies: Augmentations that there are copies by, as in ``Corpus.copies``.

        Raises:
            InputError: If the study asks for something that the corpus's modalities do not allow.
        """
        from sweeper.check import check

        settled = self.model_copy(update={"modalities": tuple(columns), "features": dict(columns)})
        settled._copies = tuple(copies)
        check(settled)
        return settled


def load(path: str | Path, overrides: Sequence[str] = ()) -> Study:
    """Read a study file and check all of it that can be checked without the corpus.

    Args:
        path: The YAML file.
        overrides: ``key=value`` assignments that replace or add keys, values read as YAML.

    Returns:
        The study; a relative corpus that exists, from here or from beside the file, is made absolute.

    Raises:
        InputError: In one line, what is wrong, where, and what would be right.
    """
    # Before and after: an override may stand in either place too, and then wins.
    document = _seeds_in_one_place(yamlfile.read(path), wins=False)
    study = build(_seeds_in_one_place(yamlfile.override(document, overrides), wins=True))
    beside = Path(path).parent
    places: dict[str, Any] = {"corpus": _corpus_path(study.corpus, beside)}
    if study.unlabeled is not None:
        places["unlabeled"] = _corpus_path(study.unlabeled, beside)
    if study.stages.folder is not None and "://" not in study.stages.folder:
        # A run that is gone on with from elsewhere finds them.
        places["stages"] = study.stages.model_copy(update={"folder": str(Path(study.stage_folder).resolve())})
    return study.model_copy(update=places)


def build(document: yamlfile.Document) -> Study:
    """A checked study from a document; see `load`.

    Raises:
        InputError: As `load`.
    """
    from sweeper.check import check

    try:
        study = _validate(document.data)
        check(study)
    except InputError as error:
        raise InputError(f"{document.place(str(error).partition(': ')[0])}: {error}") from None
    return study


def to_yaml(study: Study) -> str:
    """The resolved study, every key written out; `load` gives an equal study back."""
    return yamlfile.dump(study.model_dump(mode="json"))


def _seeds_in_one_place(document: yamlfile.Document, *, wins: bool) -> yamlfile.Document:
    """Move ``protocol.seeds`` to ``seeds``, where the study keeps them."""
    inside = document.data.get("protocol")
    if not isinstance(inside, dict) or "seeds" not in inside:
        return document
    if "seeds" in document.data and not wins:
        place = document.place("protocol.seeds")
        raise InputError(f"{place}: seeds: are given twice, here and in protocol; remove one")
    protocol = {key: value for key, value in inside.items() if key != "seeds"}
    places = document.places | {"seeds": document.place("protocol.seeds")}
    data = document.data | {"protocol": protocol, "seeds": inside["seeds"]}
    return yamlfile.Document(document.path, data, places)


def _validate(data: Mapping[str, Any]) -> Study:
    try:
        return Study.model_validate(data)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            if problem["type"] == "extra_forbidden":
                raise InputError(_unknown_key([str(part) for part in problem["loc"]])) from None
        raise InputError(describe(error)) from None


def _unknown_key(keys: list[str]) -> str:
    model: Any = Study
    keys = [key for key in keys if key not in FORMS]
    for key in keys[:-1]:
        annotation = model.model_fields[key].annotation if key in model.model_fields else Ranges
        kinds = [each for each in getattr(annotation, "__args__", (annotation,)) if isinstance(each, type)]
        model = next((each for each in kinds if issubclass(each, BaseModel)), Ranges)
    section = ".".join(keys[:-1])
    known = [f"{section}.{name}" if section else name for name in model.model_fields]
    return f"{'.'.join(keys)}: no such key{did_you_mean('.'.join(keys), known)}"


def _corpus_path(corpus: str, beside: Path) -> str:
    if corpus == "builtin":
        return corpus
    for candidate in (Path(corpus).expanduser(), beside / corpus):
        if candidate.exists():
            return str(candidate.resolve())
    return corpus
