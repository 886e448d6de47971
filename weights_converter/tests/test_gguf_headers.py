"""Headers of GGUF files made to do harm, and those that are as large as may be."""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clipon_convert.errors import ConversionError
from clipon_convert.sources.gguf_header import MAX_ELEMENTS, check_gguf_header
from conftest import HERE, convert


def gguf(tensors: int, keys: int, body: bytes, data: int = 0) -> bytes:
    """`data`: bytes of zeros after the header, which is padded to 32."""
    content = b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + body
    return content + bytes(-len(content) % 32 + data) if data else content


def is_sound_but_for_its_last_byte(source: Path, content: bytes, why: str) -> None:
    """Sound whole; refused, and why, without its last byte."""
    source.write_bytes(content)
    check_gguf_header(source)
    source.write_bytes(content[:-1])
    with pytest.raises(ConversionError, match=f"{source}: not a GGUF file: {why}"):
        check_gguf_header(source)


@pytest.mark.parametrize(
    "content",
    [
        b"GGUF",
        gguf(2**63, 0, b""),
        gguf(0, 2**64 - 1, b""),
        gguf(0, 1, struct.pack("<Q", 2**63)),
        gguf(0, 1, struct.pack("<Q1sI", 1, b"a", 9) + struct.pack("<IQ", 4, 2**63)),  # ggml-org/llama.cpp #27188
        gguf(0, 1, struct.pack("<Q1sI", 1, b"a", 9) + struct.pack("<IQ", 9, 1)),
        gguf(0, 1, struct.pack("<Q1sI", 1, b"a", 99)),
        gguf(1, 0, struct.pack("<Q1sI", 1, b"a", 2**32 - 1)),
        gguf(0, 0, b""),
    ],
)
def test_gguf_headers_that_lie(tmp_path: Path, bpe: Path, content: bytes) -> None:
    source = tmp_path / "bad.gguf"
    source.write_bytes(content)
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    if content != gguf(0, 0, b""):
        with pytest.raises(ConversionError):
            check_gguf_header(source)


def key(kind: int, value: bytes, name: bytes = b"") -> bytes:
    return struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + value


def array(kind: int, count: int, elements: bytes) -> bytes:
    return key(9, struct.pack("<IQ", kind, count) + elements)


def tensor(shape: tuple[int, ...], offset: int, name: bytes = b"", kind: int = 0) -> bytes:
    """`shape`: the fastest dimension first."""
    start = struct.pack("<Q", len(name)) + name + struct.pack("<I", len(shape))
    return start + struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", kind, offset)


STRING = struct.pack("<Q", 0)
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}  # GGUF's types of numbers


@pytest.mark.parametrize(
    "content",
    [
        gguf(0, 0, b""),
        gguf(0, 0, b"").replace(b"\3", b"\2", 1),
        *(gguf(0, 1, key(kind, bytes(size))) for kind, size in SIZES.items()),
        *(gguf(0, 1, array(kind, 3, bytes(3 * size))) for kind, size in SIZES.items()),
        gguf(0, 1, key(8, struct.pack("<Q", 5) + b"value", b"name")),
        gguf(0, 1, array(8, 3, STRING * 3)),
        gguf(0, 1024, key(0, b"1") * 1024),
        gguf(0, 2, array(0, MAX_ELEMENTS // 2, bytes(MAX_ELEMENTS // 2)) * 2),
        gguf(0, 1, key(8, struct.pack("<Q", 1 << 20) + bytes(1 << 20))),
    ],
    ids=lambda content: f"{len(content)} bytes",
)
def test_gguf_headers_up_to_the_limits(tmp_path: Path, content: bytes) -> None:
    is_sound_but_for_its_last_byte(tmp_path / "sound.gguf", content, "it ends within its header")


@pytest.mark.parametrize(
    "content",
    [
        gguf(2, 1, key(0, b"1") + tensor((3,), 0, b"a") + tensor((2, 1, 2, 1), 32, b"b"), 48),
        gguf(2, 0, tensor((3,), 32, b"a", 1) + tensor((5,), 64, b"b", 30), 74),  # holes
        gguf(2, 0, tensor((64, 2), 0, b"a", 8) + tensor((1,), 160, b"b"), 164),  # q8_0: four blocks of 34 bytes
        gguf(2, 1, key(4, b"\x08\0\0\0", b"general.alignment") + tensor((1,), 0) + tensor((1,), 8), 12),
        gguf(8192, 0, b"".join(tensor((1,), 32 * i) for i in range(8192)), 8191 * 32 + 4),
    ],
    ids=["two", "holes", "q8_0", "alignment", "many"],
)
def test_tensors_up_to_the_end(tmp_path: Path, content: bytes) -> None:
    is_sound_but_for_its_last_byte(tmp_path / "sound.gguf", content, "tensor '.*': expected .* bytes at offset")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"GGUX" + gguf(0, 0, b"")[4:], "it does not begin with GGUF"),
        (gguf(0, 0, b"").replace(b"\3", b"\1", 1), "expected version 2 or 3"),
        (gguf(0, 0, b"").replace(b"\3", b"\4", 1), "expected version 2 or 3"),
        (gguf(0, 1025, key(0, b"1") * 1025), "expected at most 1024 keys, found 1025"),
        (gguf(8193, 0, tensor((1,), 0) * 8193), "expected at most 8192 tensors, found 8193"),
        (gguf(0, 1, array(0, MAX_ELEMENTS + 1, bytes(MAX_ELEMENTS + 1))), f"expected at most {MAX_ELEMENTS} elements"),
        (gguf(0, 2, array(0, MAX_ELEMENTS, bytes(MAX_ELEMENTS)) + array(0, 1, b"1")), "elements in all arrays"),
        (gguf(0, 1, key(8, struct.pack("<Q", (1 << 20) + 1) + bytes((1 << 20) + 1))), "expected at most 1048576 bytes"),
        (gguf(0, 1, key(13, bytes(8))), "a value of type 13"),
        (gguf(0, 1, key(4, b"\0\0\0\0", b"general.alignment")), "general.alignment: expected a power of two from 8"),
        (gguf(0, 1, key(4, b"\x18\0\0\0", b"general.alignment")), "general.alignment: expected .*, found 24"),
        (gguf(1, 0, tensor((), 0)), "tensor '': expected 1 to 4 dimensions, found 0"),
        (gguf(1, 0, tensor((1,) * 5, 0)), "tensor '': expected 1 to 4 dimensions, found 5"),
        (
            gguf(1, 0, tensor((4, 0), 0), 64),
            r"tensor '': expected sizes from 1 to 2\^31 in whole blocks, found \[0, 4\]",
        ),
        (gguf(1, 0, tensor((2**31 + 1,), 0), 64), r"expected sizes from 1 to 2\^31"),
        (gguf(1, 0, tensor((48, 2), 0, kind=8), 256), r"in whole blocks, found \[2, 48\]"),
        (gguf(1, 0, tensor((2**31,) * 4, 0), 64), "bytes at offset 0, found 64 bytes of data"),
        (gguf(1, 0, tensor((1,), 2**64 - 32), 64), "expected 4 bytes at offset 18446744073709551584"),
        (gguf(1, 0, tensor((1,), 8), 64), "expected an offset from 0 that is a multiple of 32, found 8"),
        (gguf(2, 0, tensor((9,), 0, b"a") + tensor((1,), 32, b"b"), 64), "tensor 'b': expected an offset from 36"),
        (gguf(2, 0, tensor((1,), 32, b"a") + tensor((1,), 0, b"b"), 64), "tensor 'b': expected an offset from 36"),
    ],
)
def test_gguf_headers_beyond_the_limits(tmp_path: Path, content: bytes, why: str) -> None:
    source = tmp_path / "bad.gguf"
    source.write_bytes(content)
    with pytest.raises(ConversionError, match=f"{source}: not a GGUF file: .*{why}"):
        check_gguf_header(source)


def test_tensors_that_share_bytes_take_no_memory(tmp_path: Path) -> None:
    """8,192 times a million bytes, which would be widened to 31 GB."""
    source = tmp_path / "shared.gguf"
    tensors = b"".join(tensor((32 * 30_000,), 0, b"%d" % i, 8) for i in range(8192))
    source.write_bytes(
        gguf(8192, 1, key(8, struct.pack("<Q", 4) + b"clip", b"general.architecture") + tensors, 1020000)
    )
    line = [sys.executable, "-m", "clipon_convert", source, tmp_path / "out.gguf", "--quiet"]
    gigabyte = 1 << 30
    start = time.perf_counter()
    done = subprocess.run(
        list(map(str, line)),
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (gigabyte, gigabyte)),
    )
    assert done.returncode == 1
    assert "tensor '1': expected an offset from 1020000" in done.stderr
    assert time.perf_counter() - start < 10
