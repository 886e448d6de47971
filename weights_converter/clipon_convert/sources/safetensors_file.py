"""Weights of a .safetensors file as numpy arrays; bfloat16, which numpy lacks, becomes float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize, safe_open

from clipon_convert.checkpoint import Array
from clipon_convert.dtypes import from_bf16
from clipon_convert.errors import ConversionError
from clipon_convert.files import read_bytes, regular_size
from clipon_convert.sources.stored_weights import StoredWeights

MAX_BYTES = 16 << 30  # the library's LoadOptions::max_file_bytes
_NUMPY = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.uint16,
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}
_STORED = {"F32": "f32", "F16": "f16", "BF16": "bf16", "F64": "f32"}


def read(path: Path) -> StoredWeights:
    size = regular_size(path)
    if size > MAX_BYTES:
        raise ConversionError(f"{path}: expected at most {MAX_BYTES} bytes, found {size}")
    try:
        with safe_open(path, "numpy"):  # maps the file: its header's claims are checked before all of it is read
            pass
        entries = deserialize(read_bytes(path))
    except SafetensorError as error:
        raise ConversionError(f"{path}: not a safetensors file: {error}") from error
    stored = StoredWeights()
    for name, entry in entries:
        kind = entry["dtype"]
        if kind not in _NUMPY:
            raise ConversionError(f"{path}: weight '{name}': expected one of {', '.join(_NUMPY)}, found {kind}")
        values: Array = np.frombuffer(entry["data"], dtype=_NUMPY[kind]).reshape(entry["shape"])
        if kind == "BF16":
            values = from_bf16(values)
        elif kind == "F64":
            values = values.astype(np.float32)
        stored.weights[name] = values
        if kind in _STORED:
            stored.elements[_STORED[kind]] += values.size
    return stored
