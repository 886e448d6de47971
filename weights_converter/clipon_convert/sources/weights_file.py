"""Weights of one or more files, whichever of the two formats they have."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from clipon_convert.errors import ConversionError
from clipon_convert.files import regular_size
from clipon_convert.sources import safetensors_file, torch_archive
from clipon_convert.sources.stored_weights import StoredWeights
from clipon_convert.sources.wrappers import unwrap

MAX_HEADER = 100_000_000  # the safetensors package's


def _format(path: Path) -> ModuleType:
    """By the suffix; a file of the other format is told by how it begins: a ZIP's letters, or a length and JSON."""
    regular_size(path)
    with path.open("rb") as file:
        start = file.read(9)
    if path.suffix == ".safetensors":
        if start.startswith(b"PK\3\4"):
            raise ConversionError(
                f"{path}: expected a safetensors file, found a ZIP as torch.save writes it: name it .pt"
            )
        return safetensors_file
    if start[8:] == b"{" and int.from_bytes(start[:8], "little") <= MAX_HEADER:
        raise ConversionError(f"{path}: expected a ZIP of torch.save, found a safetensors file: name it .safetensors")
    return torch_archive


def read_weights(*paths: Path) -> StoredWeights:
    """Of the files of one model: its only one, or its shards."""
    whole = StoredWeights()
    for path in paths:
        part = _format(path).read(path)
        whole.weights |= part.weights
        whole.elements += part.elements
        whole.is_training_checkpoint |= part.is_training_checkpoint
    whole.weights = unwrap(whole.weights, paths[0].parent if len(paths) > 1 else paths[0])
    return whole
