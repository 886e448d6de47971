"""Weights of one or more files, whichever of the two formats they have."""

from __future__ import annotations

from pathlib import Path

from clipon_convert.sources import safetensors_file, torch_archive
from clipon_convert.sources.stored_weights import StoredWeights
from clipon_convert.sources.wrappers import unwrap


def read_weights(*paths: Path) -> StoredWeights:
    """Of the files of one model: its only one, or its shards."""
    whole = StoredWeights()
    for path in paths:
        file_format = safetensors_file if path.suffix == ".safetensors" else torch_archive
        part = file_format.read(path)
        whole.weights |= part.weights
        whole.elements += part.elements
        whole.is_training_checkpoint |= part.is_training_checkpoint
    whole.weights = unwrap(whole.weights, paths[0].parent if len(paths) > 1 else paths[0])
    return whole
