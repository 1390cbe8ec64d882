"""Models, feature extractors and tokenizers by transformers, from the hub or a folder, refused in one line."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any, NamedTuple

from trainables.errors import InputError

EXTRA = "transformers is not installed; install the extra encoders: pip install 'sweeper[encoders]'"
#: Files that hold weights; transformers reads pickled ones as tensors only.
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "tokenizer.model", "spiece.model", "*.bpe.model")
#: Parameters that a checkpoint may lack: used in training or by the model's own pooling only.
_OPTIONAL = ("pooler.", "masked_spec_embed")
#: What the first input is called, by modality.
_INPUTS = {"audio": ("input_values", "input_features"), "text": ("input_ids",)}


def is_folder(name: str) -> bool:
    """Whether a name means a local folder rather than a model of the hub.

    Raises:
        InputError: If it can only be a folder, and there is none.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return True
    if path.exists():
        raise InputError(f"encoder {name}: is a file; give the folder that holds config.json and the weights")
    if name.startswith(("/", ".", "~")) or name.count("/") > 1 or not name.strip():
        raise InputError(f"encoder {name}: no such folder; give a folder, or a hub name such as facebook/wav2vec2-base")
    return False


def check_folder(name: str, *, weights: bool = True, tokenizer: bool = False) -> None:
    """Refuse a folder that lacks a file; a hub name is left to `model`.

    Raises:
        InputError: That says which.
    """
    if not is_folder(name):
        return
    folder = Path(name).expanduser()
    if not (folder / "config.json").is_file():
        raise InputError(f"encoder {name}: holds no config.json; give the folder that save_pretrained wrote")
    if weights and not _any(folder, WEIGHTS):
        raise InputError(f"encoder {name}: holds no weights (model.safetensors); copy them beside config.json")
    if tokenizer and not _any(folder, TOKENIZERS):
        raise InputError(f"encoder {name}: holds no tokenizer (tokenizer.json or vocab.txt); copy it beside the model")


def _any(folder: Path, patterns: tuple[str, ...]) -> bool:
    return any(True for pattern in patterns for _ in folder.glob(pattern))


def config(name: str, kind: str, settings: Mapping[str, Any] | None = None) -> Any:
    """The config of a model, checked to be an encoder of this kind.

    Args:
        name: Hub name or folder.
        kind: ``audio`` or ``text``.
        settings: Entries to replace.

    Raises:
        InputError: If it cannot be had, or is no such encoder.
    """
    transformers = library()
    check_folder(name, weights=False)
    found = _read(name, lambda: transformers.AutoConfig.from_pretrained(_place(name), **_where(name)))
    for key, value in (settings or {}).items():
        if not hasattr(found, key):
            raise InputError(f"encoder {name}: its config has no {key!r}; correct or remove the setting")
        setattr(found, key, value)
    _check_kind(name, kind, _class(name, found))
    return found


def _class(name: str, config: Any) -> Any:
    from transformers import MODEL_MAPPING

    if type(config) not in MODEL_MAPPING:
        raise InputError(f"encoder {name}: a {config.model_type} model has no encoder that could be used here")
    found = MODEL_MAPPING[type(config)]
    return found[0] if isinstance(found, tuple) else found


def _check_kind(name: str, kind: str, model: Any) -> None:
    takes = model.main_input_name
    if takes not in _INPUTS[kind]:
        other = next((each for each, names in _INPUTS.items() if takes in names), None)
        hint = f"it encodes {other}" if other else f"it takes {takes}"
        raise InputError(f"encoder {name}: is no {kind} encoder, {hint}; name another one")


def model(name: str, kind: str, *, weights: bool, dtype: str, settings: Mapping[str, Any] | None) -> Any:
    """The pretrained model, in evaluation mode, on the CPU.

    Raises:
        InputError: If it cannot be had, lacks weights, or is no encoder of this kind.
    """
    import torch

    if dtype not in ("float32", "bfloat16", "float16"):
        raise InputError(f"dtype: {dtype!r} is unknown; choose float32, bfloat16 or float16")
    wanted = config(name, kind, settings)
    check_folder(name, weights=weights)
    if weights:
        found = _pretrained(name, wanted, getattr(torch, dtype))
    else:
        found = library().AutoModel.from_config(wanted, dtype=getattr(torch, dtype))
    # Of a sequence to sequence model (Whisper, T5) the encoder.
    return (found.get_encoder() if wanted.is_encoder_decoder else found).eval()


def _pretrained(name: str, config: Any, dtype: Any) -> Any:
    def read() -> Any:
        return library().AutoModel.from_pretrained(
            _place(name), config=config, dtype=dtype, output_loading_info=True, **_where(name)
        )

    found, info = _read(name, read)
    missing = sorted(each for each in info["missing_keys"] if not any(part in each for part in _OPTIONAL))
    if missing:
        raise InputError(
            f"encoder {name}: its weights lack {len(missing)} parameters of a {config.model_type} model, "
            f"such as {missing[0]}; give the weights that belong to its config"
        )
    return found


def feature_extractor(name: str, config: Any) -> Any:
    """The preparation of waveforms that belongs to a model; its kind's default where a folder has none.

    Raises:
        InputError: If none is known.
    """
    from transformers import AutoFeatureExtractor
    from transformers.models.auto.feature_extraction_auto import FEATURE_EXTRACTOR_MAPPING

    alone = is_folder(name) and not (Path(name).expanduser() / "preprocessor_config.json").is_file()
    if not alone:
        return _read(name, lambda: AutoFeatureExtractor.from_pretrained(_place(name), **_where(name)))
    if type(config) not in FEATURE_EXTRACTOR_MAPPING:
        raise InputError(f"encoder {name}: holds no preprocessor_config.json, and no default is known; copy it there")
    shape = {"max_length": "max_length", "num_mel_bins": "num_mel_bins"}
    given = {key: getattr(config, each) for key, each in shape.items() if hasattr(config, "patch_size")}
    return FEATURE_EXTRACTOR_MAPPING[type(config)](**given)


def tokenizer(name: str) -> Any:
    """The tokenizer of a model, padding at the end, with a pad token (that of the end, where a decoder has none).

    Raises:
        InputError: If there is none.
    """
    check_folder(name, weights=False, tokenizer=True)
    found = _read(name, lambda: library().AutoTokenizer.from_pretrained(_place(name), **_where(name)))
    found.padding_side = "right"
    if found.pad_token is None:
        found.pad_token = found.eos_token or found.unk_token
    if found.pad_token is None:
        raise InputError(f"encoder {name}: its tokenizer has no pad, end or unknown token; add one to its settings")
    return found


class Sentence(NamedTuple):
    """What a folder of sentence-transformers says of its encoder.

    Attributes:
        pooling: ``mean``, ``first`` or ``last``.
        normalise: Whether vectors have length 1.
        longest: Tokens it takes at most; None where it does not say.
    """

    pooling: str = "mean"
    normalise: bool = False
    longest: int | None = None


def sentence_settings(name: str, pooling: str | None = None) -> Sentence:
    """How a sentence encoder pools; the defaults where a model is none.

    Args:
        name: Hub name or folder.
        pooling: Wanted instead of its own.

    Raises:
        InputError: If it pools in a way that is not known here, and none is wanted.
    """
    modules = _json(name, "modules.json")
    if not modules:
        return Sentence(pooling or "mean")
    normalise = any(str(each.get("type", "")).endswith("Normalize") for each in modules)
    longest = (_json(name, "sentence_bert_config.json") or {}).get("max_seq_length")
    own = pooling or _sentence_pooling(name, _json(name, "1_Pooling/config.json") or {})
    return Sentence(own, normalise, longest)


#: Names of sentence-transformers for the poolings that are known here.
_POOLINGS = {"mean_tokens": "mean", "cls_token": "first", "lasttoken": "last", "mean": "mean", "cls": "first"}


def _sentence_pooling(name: str, settings: Mapping[str, Any]) -> str:
    """From one flag a way, as of old, or one word."""
    prefix = "pooling_mode_"
    asked = [key.removeprefix(prefix) for key, each in settings.items() if key.startswith(prefix) and each is True]
    asked = asked or [str(settings.get("pooling_mode", "mean"))]
    if len(asked) > 1 or asked[0] not in _POOLINGS:
        raise InputError(f"encoder {name}: pools by {' and '.join(asked)}, which is not known here; give a --pooling")
    return _POOLINGS[asked[0]]


def content(name: str) -> str:
    """What a model is, wherever it lies: SHA-256 (hex) of a folder's files, or the commit of a hub name.

    Raises:
        InputError: If it cannot be had.
    """
    if is_folder(name):
        return _digest(Path(name).expanduser())
    from transformers.utils import cached_file

    path = Path(str(_read(name, lambda: cached_file(name, "config.json"))))
    return f"{name}@{path.parent.name}"


def _digest(folder: Path) -> str:
    """Of all files that a model is read from."""
    weights = next((found for pattern in WEIGHTS if (found := sorted(folder.glob(pattern)))), [])
    rest = [path for pattern in ("*.json", "*.txt", "*.model", "1_Pooling/*.json") for path in folder.glob(pattern)]
    digest = hashlib.sha256()
    for path in [*sorted(rest), *weights]:
        with path.open("rb") as file:
            own = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder)} {own}\n".encode())
    return digest.hexdigest()


def _json(name: str, file: str) -> Any:
    if is_folder(name):
        path: str | Path | None = Path(name).expanduser() / file
    else:
        from transformers.utils import cached_file

        path = cached_file(
            name, file, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
        )
    return json.loads(Path(path).read_text(encoding="utf-8")) if path and Path(path).is_file() else None


def library() -> Any:
    """Transformers.

    Raises:
        InputError: If it is not installed.
    """
    try:
        import transformers
    except ImportError:
        raise InputError(EXTRA) from None
    return transformers


def _place(name: str) -> str:
    return str(Path(name).expanduser()) if is_folder(name) else name


def _where(name: str) -> dict[str, Any]:
    """A folder is read without asking the network; code that comes with a model is never run."""
    return {"local_files_only": is_folder(name), "trust_remote_code": False}


def _read(name: str, read: Callable[[], Any]) -> Any:
    """Call transformers, quietly, and say in one line what it found wrong."""
    with _quiet():
        try:
            return read()
        except InputError:
            raise
        except ImportError as error:
            raise InputError(f"encoder {name}: {_line(error)}; install it") from None
        # Whatever a damaged or foreign file makes of a reader: the kinds of errors are not documented.
        except Exception as error:
            what = "cannot be read" if is_folder(name) else "cannot be had from the hub (or its local cache)"
            remedy = "check the folder" if is_folder(name) else "check the name and the network, or give a local folder"
            raise InputError(f"encoder {name}: {what} ({_line(error)}); {remedy}") from None


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0].rstrip(".")[:200] if lines else "") or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars or hints of transformers for the time of the block."""
    from huggingface_hub.utils import logging as of_hub

    logging = library().utils.logging
    level, hub_level, bars = logging.get_verbosity(), of_hub.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    of_hub.set_verbosity(CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        of_hub.set_verbosity(hub_level)
        if bars:
            logging.enable_progress_bar()
