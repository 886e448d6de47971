"""Looks through a GGUF file's header before the gguf package does, which believes every count and loops over it."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from clipon_convert.errors import ConversionError
from clipon_convert.files import regular_size

MAX_KEYS, MAX_TENSORS, MAX_STRING = 1024, 8192, 1 << 20  # the limits of clipon's own reader
# Of all arrays together: the gguf package makes objects of each element, 1.5 KB and 15 us, so at most 0.4 GB and 4 s.
# A file has 49,408 tokens, and may have as many scores, types of tokens and merges: under 200,000.
MAX_ELEMENTS = 1 << 18
MAX_EXTENT = 1 << 31
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # bytes of each type of number
_U32, _STRING, _ARRAY = 4, 8, 9
_BLOCKS = {0: (1, 4), 1: (1, 2), 30: (1, 2), 8: (32, 34)}  # f32, f16, bf16, q8_0: values of a block and its bytes
_ALIGNMENT = b"general.alignment"


@dataclass
class Tensor:
    name: str
    size: int  # in bytes
    offset: int  # from where the data start


class Header:
    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self.file, self.path = file, path
        self.size = self.left = size
        self.elements_left = MAX_ELEMENTS
        self.alignment = 32

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

    def string(self) -> bytes:
        return self.take(self.limited(MAX_STRING, "bytes in a string"))

    def array(self) -> None:
        kind, count = self.number("I"), self.number("Q")
        if count > self.elements_left:
            raise self.fail(f"expected at most {MAX_ELEMENTS} elements in all arrays together, found more")
        self.elements_left -= count
        self.values(kind, count)

    def values(self, kind: int, count: int) -> None:
        if kind == _STRING:
            for _ in range(count):
                self.string()
        elif kind in _SIZES:
            self.take(_SIZES[kind] * count)
        else:
            raise self.fail(f"a value of type {kind}")

    def key(self) -> None:
        name, kind = self.string(), self.number("I")
        if name == _ALIGNMENT and kind == _U32:  # of another type, the gguf package refuses it
            self.alignment = self.number("I")
            if not 8 <= self.alignment <= 65536 or self.alignment & (self.alignment - 1):
                raise self.fail(f"general.alignment: expected a power of two from 8 to 65536, found {self.alignment}")
        elif kind == _ARRAY:
            self.array()
        else:
            self.values(kind, 1)

    def tensor(self) -> Tensor:
        name = self.string().decode("utf-8", "replace")
        dimensions = self.number("I")
        if not 1 <= dimensions <= 4:
            raise self.fail(f"tensor '{name}': expected 1 to 4 dimensions, found {dimensions}")
        shape = [self.number("Q") for _ in range(dimensions)]  # the fastest dimension first
        kind, offset = self.number("I"), self.number("Q")
        if kind not in _BLOCKS:
            raise ConversionError(
                f"{self.path}: tensor '{name}': expected f32, f16, bf16 or q8_0, found GGUF type {kind}"
            )
        values, size = _BLOCKS[kind]
        if not all(1 <= extent <= MAX_EXTENT for extent in shape) or shape[0] % values != 0:
            raise self.fail(f"tensor '{name}': expected sizes from 1 to 2^31 in whole blocks, found {shape[::-1]}")
        return Tensor(name, math.prod(shape) // values * size, offset)

    def check_places(self, tensors: list[Tensor]) -> None:
        """In the order of the file, holes between them: a few bytes that many tensors share would fill memory."""
        start = self.size - self.left
        start += -start % self.alignment
        least = 0
        for tensor in tensors:
            if tensor.offset < least or tensor.offset % self.alignment != 0:
                raise self.fail(
                    f"tensor '{tensor.name}': expected an offset from {least} that is a multiple of {self.alignment}, "
                    f"found {tensor.offset}"
                )
            least = tensor.offset + tensor.size
            if start + least > self.size:
                raise self.fail(
                    f"tensor '{tensor.name}': expected {tensor.size} bytes at offset {tensor.offset}, found "
                    f"{max(self.size - start, 0)} bytes of data"
                )


def check_gguf_header(path: Path) -> None:
    """Raises ConversionError for counts, lengths and tensors that the file can't hold."""
    size = regular_size(path)
    with path.open("rb") as file:
        header = Header(file, path, size)
        if header.take(4) != b"GGUF":
            raise header.fail("it does not begin with GGUF")
        if header.number("I") not in (2, 3):
            raise header.fail("expected version 2 or 3")
        tensors = header.limited(MAX_TENSORS, "tensors")
        for _ in range(header.limited(MAX_KEYS, "keys")):
            header.key()
        header.check_places([header.tensor() for _ in range(tensors)])
