"""Trained stages on disk, named by what they depend on, so that no arm trains what another has trained.

`identity` says what a stage depends on, `packing` turns one into tensors and back, `place` and `s3` are where the
files lie, `claims` lets one arm train what several ask for, `store` is what arms and runs use.
"""

from sweeper.artifacts.identity import digest, keys
from sweeper.artifacts.packing import Recorded, strip
from sweeper.artifacts.store import Store

__all__ = ["Recorded", "Store", "digest", "keys", "strip"]
