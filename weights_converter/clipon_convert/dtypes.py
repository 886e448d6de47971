"""Weights as the file stores them: f32, f16, bf16 or int8 with a scale for each output channel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from gguf import GGMLQuantizationType

from clipon_convert.checkpoint import Array
from clipon_convert.errors import ConversionError
from clipon_convert.tensors import Tensor

DTYPES = ("f32", "f16", "bf16", "int8")


def most_stored(elements: Mapping[str, int]) -> str:
    """The type that most elements have; of two with as many, and of none, the first."""
    return max(DTYPES, key=lambda dtype: elements.get(dtype, 0))


@dataclass
class Stored:
    name: str
    data: Array
    type: GGMLQuantizationType
    shape: tuple[int, ...]


def to_bf16(values: Array) -> Array:
    """The upper half of each float32, rounded to nearest even, as uint16."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + (((bits >> 16) & 1) + 0x7FFF)) >> 16).astype(np.uint16)


def from_bf16(bits: Array) -> Array:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def quantise(values: Array) -> tuple[Array, Array]:
    """Symmetric int8 for each row of dimension 0: values ~ int8 * scale, |int8| <= 127."""
    rows = values.astype(np.float32).reshape(values.shape[0], -1)
    scale = (np.abs(rows).max(axis=1) / np.float32(127)).astype(np.float32)
    divisor = np.where(scale > 0, scale, np.float32(1))
    return np.rint(rows / divisor[:, None]).clip(-127, 127).astype(np.int8).reshape(values.shape), scale


def store(tensor: Tensor, dtype: str) -> Iterator[Stored]:
    """One tensor, or an int8 tensor and its scales."""
    data = np.ascontiguousarray(tensor.data)
    if not np.isfinite(data).all():
        raise ConversionError(f"tensor '{tensor.name}': expected finite weights, found NaN or infinity")
    if not tensor.is_matrix:
        dtype = "f32"
    elif dtype == "int8" and tensor.name == "t.token_embd.weight":
        dtype = "f16"  # rows are looked up, not multiplied: nothing to gain
    if dtype == "int8":
        quantised, scale = quantise(data)
        yield Stored(tensor.name, quantised, GGMLQuantizationType.I8, data.shape)
        yield Stored(tensor.name + ".scale", scale, GGMLQuantizationType.F32, scale.shape)
    elif dtype == "bf16":
        rounded = to_bf16(data)
        if not np.isfinite(from_bf16(rounded)).all():
            raise ConversionError(f"tensor '{tensor.name}': a weight is too large for bf16; use --dtype f32")
        yield Stored(tensor.name, rounded, GGMLQuantizationType.BF16, data.shape)
    elif dtype == "f16":
        with np.errstate(over="ignore"):
            half = data.astype(np.float16)
        if not np.isfinite(half).all():
            raise ConversionError(f"tensor '{tensor.name}': a weight is too large for f16; use --dtype bf16 or f32")
        yield Stored(tensor.name, half, GGMLQuantizationType.F16, data.shape)
    else:
        yield Stored(tensor.name, data.astype(np.float32), GGMLQuantizationType.F32, data.shape)
