"""Settings of the tiny method."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Learn(_Section):
    """Classifies; the closer rate is to 0.3, the better."""

    rate: float = Field(1.0, gt=0)
    epochs: int = Field(5, ge=1)
    kind: Literal["a", "b"] = "a"
    nan_at: int = 0
    """Epoch at which the loss is not finite; 0 never."""
    error_at: int = 0
    """Epoch at which a plain error is raised."""
    die_at: int = 0
    """Epoch at which the process kills itself."""
    die_once: str = ""
    """File that keeps it from dying twice."""
    device_full_at: int = 0
    """Epoch at which the device has no memory left."""
    hoard: int = 0
    """MiB of the host's memory that the first epoch takes, and holds until somebody ends that."""
    pause: float = 0.0
    """Seconds an epoch takes."""


class Dream(_Section):
    """Classifies nothing."""

    on: bool = True
    collapse: bool = False
    epochs: int = Field(2, ge=1)


class Tune(_Section):
    """Classifies; more gain is better."""

    gain: float = Field(0.1, ge=0)
    epochs: int = Field(3, ge=1)


class Config(_Section):
    """All of it."""

    learn: Learn = Learn()
    dream: Dream = Dream()
    tune: Tune = Tune()
