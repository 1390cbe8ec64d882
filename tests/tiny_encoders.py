"""Encoders of each architecture with tiny random weights, saved as a researcher's folders are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

#: Every word of the tiny tokenizers.
WORDS = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("i", "am", "so", "very", "happy", "sad", "angry", "today", "and", "you", "are", "not"),
)


def _save(folder: Path, config: object) -> Path:
    import torch
    from transformers import AutoModel

    torch.manual_seed(0)
    model = AutoModel.from_config(config)
    # Norms and biases start as ones and zeros, which would hide a mistake in them; so do AST's tokens.
    with torch.no_grad():
        for value in model.parameters():
            value.add_(torch.randn_like(value) * 0.02)
    model.save_pretrained(folder)
    return folder


def _speech(config_class: str, norm: str, folder: Path, **more: object) -> Path:
    import transformers

    config = getattr(transformers, config_class)(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=24,
        conv_dim=(8, 8, 8),
        conv_kernel=(10, 8, 4),
        conv_stride=(10, 8, 4),
        num_conv_pos_embeddings=8,
        num_conv_pos_embedding_groups=2,
        feat_extract_norm=norm,
        num_feat_extract_layers=3,
        mask_time_length=2,
        vocab_size=8,
        **more,
    )
    return _save(folder, config)


def wav2vec2(folder: Path) -> Path:
    """As wav2vec 2.0 base, with a group norm over time, without preprocessor_config.json."""
    return _speech("Wav2Vec2Config", "group", folder)


def wav2vec2_large(folder: Path) -> Path:
    """As wav2vec 2.0 large, with layer norms."""
    return _speech("Wav2Vec2Config", "layer", folder, do_stable_layer_norm=True)


def hubert(folder: Path) -> Path:
    return _speech("HubertConfig", "group", folder)


def wavlm(folder: Path) -> Path:
    return _speech("WavLMConfig", "group", folder)


def ast(folder: Path) -> Path:
    """With its feature extractor; 2.1 s at most."""
    from transformers import ASTConfig, ASTFeatureExtractor

    shape = {"max_length": 208, "num_mel_bins": 32}
    config = ASTConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, **shape)
    ASTFeatureExtractor(**shape).save_pretrained(folder)
    return _save(folder, config)


def whisper(folder: Path) -> Path:
    """Encoder and decoder, of which speech needs the first; everything is padded to 30 s."""
    from transformers import WhisperConfig, WhisperFeatureExtractor

    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2}
    sizes = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_ffn_dim": 24, "decoder_ffn_dim": 24}
    tokens = {"vocab_size": 8, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    WhisperFeatureExtractor().save_pretrained(folder)
    return _save(folder, WhisperConfig(**sizes, **heads, **tokens))


def _words(folder: Path, **tokens: str) -> None:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = Whitespace()
    if "cls_token" in tokens:
        words.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", model_max_length=32, **tokens).save_pretrained(
        folder
    )


_TEXT = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}


def bert(folder: Path) -> Path:
    from transformers import BertConfig

    _words(folder, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")
    return _save(folder, BertConfig(vocab_size=len(WORDS), max_position_embeddings=32, **_TEXT))


def roberta(folder: Path) -> Path:
    from transformers import RobertaConfig

    _words(folder, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")
    return _save(folder, RobertaConfig(vocab_size=len(WORDS), max_position_embeddings=34, pad_token_id=0, **_TEXT))


def llama(folder: Path) -> Path:
    """A decoder whose tokenizer has no pad token, as Llama 2's."""
    from transformers import LlamaConfig

    _words(folder, eos_token="[SEP]")
    return _save(folder, LlamaConfig(vocab_size=len(WORDS), max_position_embeddings=32, **_TEXT))


AUDIO: dict[str, Callable[[Path], Path]] = {
    "wav2vec2": wav2vec2,
    "wav2vec2_large": wav2vec2_large,
    "hubert": hubert,
    "wavlm": wavlm,
    "ast": ast,
}
TEXT: dict[str, Callable[[Path], Path]] = {"bert": bert, "roberta": roberta, "llama": llama}
