"""Weights of one file, whichever of the two formats it has."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from clipon_convert.checkpoint import Array
from clipon_convert.dtypes import most_stored
from clipon_convert.sources import safetensors_file, torch_archive


def read_counted(path: Path) -> tuple[dict[str, Array], Counter[str]]:
    """The weights, and how many elements are stored in each type."""
    file_format = safetensors_file if path.suffix == ".safetensors" else torch_archive
    return file_format.read_counted(path)


def read_weights(path: Path) -> tuple[dict[str, Array], str]:
    """The weights and the type that most of their elements are stored in."""
    weights, elements = read_counted(path)
    return weights, most_stored(elements)
