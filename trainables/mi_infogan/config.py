"""Settings of `mi_infogan`; defaults are those of Ahn et al. 2025, section 4.2.3, where the paper states them.

What the paper leaves open is marked *decision*; the reasons stand in `trainables.mi_infogan.method`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from trainables.section import Section


def _absolute(name: str) -> str:
    """A folder from wherever it is asked for: workers have working folders of their own. Hub names stay."""
    path = Path(name).expanduser()
    return str(path.absolute()) if path.is_dir() else name


#: A pretrained model: a name of the hub, or a folder.
Encoder = Annotated[str, AfterValidator(_absolute)]


class Tuning(Section):
    """Fine-tuning of pretrained encoders over recordings and transcripts; without them nothing of it is used."""

    learning_rate: float = Field(1e-4, gt=0)
    """Adam's step size for encoders and heads, section 4.2.3; `align.learning_rate` is the feature form's."""
    rank: int = Field(8, ge=1)
    """Rank of LoRA's matrices. Decision, as all of LoRA's settings."""
    alpha: float = Field(16.0, gt=0)
    """LoRA's alpha: what the matrices add is scaled by alpha / rank."""
    dropout: float = Field(0.05, ge=0, lt=1)
    """Dropout on what enters LoRA's matrices."""
    targets: tuple[str, ...] = ()
    """Linear layers that get LoRA's matrices, by the ends of their names; () = queries and values of attention."""
    pooling: Literal["mean", "first", "last", "model"] | None = None
    """How h is pooled from the audio encoder's sequence; null = AST's own pooled output, else the mean."""
    text_pooling: Literal["mean", "first", "last", "model"] | None = None
    """How t is pooled from the text encoder's sequence; null = what a sentence encoder says, else the mean."""
    max_seconds: float = Field(10.0, gt=0)
    """Longer recordings are cropped: somewhere in training, at their beginning otherwise. AST hears 10.24 s."""
    accumulate: int = Field(1, ge=1)
    """Parts in which a step's utterances pass through the encoder, for memory; the negatives of eq. 5 and 6 are those
    of the part."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Precision inside the encoders, mixed where it is not fp32; losses and heads stay in single precision."""
    checkpointing: bool = False
    """Keep only the inputs of layers for the backward pass and compute the rest again: less memory, a third slower."""


class Align(Section):
    """Stage 1, eq. 1-7: an audio encoder and classifier, aligned with the text embeddings."""

    encoder: Encoder | None = None
    """Audio encoder over recordings: hub name or folder of an AST, a wav2vec 2.0 or their like; null = stored features
    and an encoder from scratch."""
    train: Literal["full", "lora", "frozen"] = "full"
    """What of the audio encoder is trained: all, LoRA's matrices, or nothing: then its vectors are stored features."""
    text_encoder: Encoder | None = None
    """Text encoder over transcripts: hub name or folder of a BERT, a Llama or their like; null = stored features."""
    text_train: Literal["frozen", "lora"] = "frozen"
    """Whether the text encoder learns the emotion from transcripts by LoRA (section 4.2.2) as the audio is aligned."""
    tuning: Tuning = Tuning()
    """How encoders are fine-tuned."""
    alpha: float = Field(1.0, ge=0)
    """Weight of the contrastive alignment loss, eq. 5 and 7; 0 skips it."""
    beta: float = Field(1.0, ge=0)
    """Weight of the mutual information (InfoNCE) loss, eq. 6 and 7; 0 skips it."""
    temperature: float = Field(0.1, gt=0)
    """tau of eq. 5, 6 and 13. Decision."""
    hidden: tuple[int, ...] = Field((512,))
    """Hidden widths of the encoder f_a over stored features (or a frozen encoder's). Decision (the paper fine-tunes a
    transformer)."""
    feature_dim: int | None = Field(None, ge=2)
    """Size of h; None is the size of the text vector. Smaller: the text is reduced by PCA on the train rows."""
    dropout: float = Field(0.5, ge=0, lt=1)
    """Dropout on the encoder's hidden units. Decision."""
    learning_rate: float = Field(1e-3, gt=0)
    """Adam's step size. The paper's 1e-4 is for fine-tuning a pre-trained encoder; ours starts untrained."""
    weight_decay: float = Field(0.1, ge=0)
    """Decoupled weight decay of the encoder and heads. Decision."""
    batch_size: int = Field(128, ge=2)
    """Utterances a step, each other one's negatives. Decision."""
    epochs: int = Field(20, ge=1)
    """Epochs trained; the one with the best dev UAR is handed on. Decision."""
    class_weights: bool = True
    """Weight the cross entropy inversely to class counts of the train rows, section 4.2.3."""

    @property
    def tunes(self) -> bool:
        """Whether an encoder learns, so that several workers have something to share."""
        return self.encoder is not None and self.train != "frozen"

    @property
    def raw(self) -> frozenset[str]:
        """Modalities that an encoder makes vectors of."""
        named = {"audio": self.encoder, "text": self.text_encoder}
        return frozenset(modality for modality, name in named.items() if name)


class Generate(Section):
    """Stage 2, eq. 8-14: an InfoGAN over the aligned features, with W_y and W_t frozen."""

    lambda_y: float = Field(1.0, ge=0)
    """Weight of the emotion prediction loss, eq. 11 and 14; 0 skips it."""
    lambda_t: float = Field(1.0, ge=0)
    """Weight of the text prediction loss, eq. 13 and 14; 0 skips it."""
    text: bool = True
    """Whether the generator is conditioned on the text embedding, eq. 8."""
    conditional: bool = False
    """Whether the discriminator judges a feature as one of its label: without text and prediction losses, a cGAN."""
    noise_dim: int = Field(64, ge=1)
    """Size of z. Decision."""
    depth: int = Field(1, ge=1, le=6)
    """Linear layers of the generator; the paper's is 1, without activation."""
    width: int = Field(256, ge=1)
    """Hidden width of a generator deeper than 1."""
    discriminator_depth: int = Field(1, ge=1, le=6)
    """Linear layers of the discriminator; the paper's is 1."""
    discriminator_width: int = Field(256, ge=1)
    """Hidden width of a discriminator deeper than 1."""
    adversarial: Literal["non-saturating", "saturating"] = "non-saturating"
    """The generator's side of eq. 9: ``saturating`` is the printed log(1 - D)."""
    mixup: float = Field(0.2, ge=0)
    """Beta(mixup, mixup) mixing of real and generated features for both players; 0 is off. Decision (value)."""
    learning_rate: float = Field(1e-4, gt=0)
    """Adam's step size, section 4.2.3."""
    beta1: float = Field(0.5, ge=0, lt=1)
    """Adam's first moment decay. Decision: 0.5 keeps deeper generators from blowing up."""
    batch_size: int = Field(128, ge=2)
    """Utterances a step. Decision."""
    epochs: int = Field(20, ge=1)
    """Epochs trained; the last one is handed on. Decision."""


class Augment(Section):
    """Stage 3, section 3.3: the classification layer fine-tuned on real and generated features."""

    inputs: Literal["audio", "audio+text"] = "audio"
    """What is classified: unimodal (h) or multimodal (h and t concatenated)."""
    source: Literal["generated", "noise", "mixup", "recordings", "real", "none"] = "generated"
    """What is added to the real features: generated ones; with ``noise``; mixtures of two; those of augmented copies of
    the ``recordings``; the real ones again (the control); nothing."""
    copies: tuple[str, ...] | None = None
    """Augmentations that source ``recordings`` takes copies of, such as ``noise10``, or kinds of them, such as
    ``noise``; null takes all that the corpus has."""
    noise: float = Field(0.3, gt=0)
    """Spread of the Gaussian noise of source ``noise``, as a share of each feature's own on the train rows."""
    mixup: float = Field(0.2, gt=0)
    """Beta(mixup, mixup) shares of source ``mixup``, in features and in labels. That of Zhang et al. 2018."""
    balance: bool = False
    """Add more of the rarer classes until all are equal (section 5.2.3) instead of one for each real."""
    redraw: bool = False
    """Draw anew what is random in it every epoch. Decision: the paper generates one set, and so does the default."""
    hidden: tuple[int, ...] = ()
    """Hidden widths of the multimodal classifier: () IEMOCAP, (256,) MSP-IMPROV, (256, 128) MSP-Podcast."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """Dropout on the classifier's inputs. Decision: 0 is the paper's; h fits its own train rows too well for a new
    multimodal classifier to weigh it fairly beside t, which dropout mends."""
    learning_rate: float = Field(1e-4, gt=0)
    """Adam's step size, section 4.2.3."""
    batch_size: int = Field(128, ge=2)
    """Utterances a step. Decision."""
    epochs: int = Field(10, ge=1)
    """Epochs trained; the one with the best dev UAR counts. Decision."""
    class_weights: bool = True
    """Weight the cross entropy inversely to class counts of what is trained on."""


class Config(Section):
    """All settings of one `mi_infogan` arm."""

    align: Align = Align()
    generate: Generate = Generate()
    augment: Augment = Augment()
