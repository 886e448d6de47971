"""Looks through a GGUF file's header before the gguf package does, which believes every count and loops over it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from clipon_convert.errors import ConversionError
from clipon_convert.files import regular_size

MAX_KEYS, MAX_TENSORS, MAX_STRING, MAX_ARRAY = 1024, 8192, 1 << 20, 1 << 20  # the limits of clipon's own reader
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of each type of number
_STRING, _ARRAY = 8, 9


class Header:
    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file, self.path = file, path
        self.left = size

    def fail(self, why: str) -> ConversionError:
        return ConversionError(f"{self.path}: not a GGUF file: {why}")

    def take(self, n: int) -> bytes:
        data = self.file.read(n) if n <= self.left else b""
        if len(data) != n:
            raise self.fail("it ends within its header")
        self.left -= n
        return data

    def number(self, form: str) -> int:
        return int(struct.unpack("<" + form, self.take(struct.calcsize(form)))[0])

    def limited(self, limit: int, what: str) -> int:
        value = self.number("Q")
        if value > limit:
            raise self.fail(f"expected at most {limit} {what}, found {value}")
        return value

    def string(self) -> None:
        self.take(self.limited(MAX_STRING, "bytes in a string"))

    def value(self) -> None:
        kind = self.number("I")
        count = 1
        if kind == _ARRAY:
            kind = self.number("I")
            count = self.limited(MAX_ARRAY, "elements in an array")
        if kind == _STRING:
            for _ in range(count):
                self.string()
        elif kind in _SIZES:
            self.take(_SIZES[kind] * count)
        else:
            raise self.fail(f"a value of type {kind}")


def check_gguf_header(path: Path) -> None:
    """Raises ConversionError for counts and lengths that the file can't hold."""
    size = regular_size(path)
    with path.open("rb") as file:
        header = Header(file, path, size)
        if header.take(4) != b"GGUF":
            raise header.fail("it does not begin with GGUF")
        if header.number("I") not in (2, 3):
            raise header.fail("expected version 2 or 3")
        tensors = header.limited(MAX_TENSORS, "tensors")
        for _ in range(header.limited(MAX_KEYS, "keys")):
            header.string()
            header.value()
        for _ in range(tensors):
            header.string()
            dimensions = header.number("I")
            if not 1 <= dimensions <= 4:
                raise header.fail(f"a tensor of {dimensions} dimensions")
            header.take(8 * dimensions + 12)
