"""Weights as files have them: their arrays, the types that they are stored in, and whose file it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from clipon_convert.checkpoint import Array
from clipon_convert.dtypes import most_stored


@dataclass
class StoredWeights:
    weights: dict[str, Array] = field(default_factory=dict)
    elements: Counter[str] = field(default_factory=Counter)  # how many are stored in each type of dtypes.DTYPES
    is_training_checkpoint: bool = False  # of OpenCLIP, which leaves its activation to open_clip_config.json

    @property
    def stored_type(self) -> str:
        """The type that most elements are stored in."""
        return most_stored(self.elements)
