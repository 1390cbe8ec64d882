"""openSMILE functionals of a whole utterance (the extra ``opensmile``).

Sources: eGeMAPS, Eyben et al. 2016, 88 values; ComParE 2016, Schuller et al., 6,373; IS10 (INTERSPEECH 2010
paralinguistics), Schuller et al., 1,582, in openSMILE's compatible form. Computed at the recording's own rate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trainables.extraction.request import SETS


class Functionals:
    """One openSMILE feature set.

    Attributes:
        names: What each value is, in order.
    """

    #: At the rate of each recording.
    rate: int | None = None

    def __init__(self, name: str) -> None:
        import opensmile  # loads a C library; an extra

        self._smile = opensmile.Smile(
            feature_set=getattr(opensmile.FeatureSet, SETS[name]), feature_level=opensmile.FeatureLevel.Functionals
        )
        self.names: list[str] = list(self._smile.feature_names)
        self.size = len(self.names)

    def __call__(self, waves: Sequence[np.ndarray], rates: Sequence[int]) -> list[np.ndarray]:
        """A vector for each waveform, shape (size,); NaN where it is too short."""
        return [self._one(wave, rate) for wave, rate in zip(waves, rates, strict=True)]

    def _one(self, wave: np.ndarray, rate: int) -> np.ndarray:
        return np.asarray(self._smile.process_signal(wave, rate).to_numpy()[0], dtype=np.float32)
