"""Sources other than pickles made to do harm: refused in one line, nothing left behind, in bounded time and memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from clipon_convert.errors import ConversionError
from clipon_convert.sources.gguf_header import check_gguf_header
from clipon_convert.vocabulary import recover_merges
from conftest import convert, huggingface_folder


def sound_safetensors() -> bytes:
    return save({"visual.proj": np.zeros((4, 4), np.float32)})


def header(entries: object, data: bytes = b"", length: int | None = None) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x01",
        header({}, length=2**64 - 1),
        header({}, length=100_000_001),
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, bytes(8)),  # a hole
        header(
            {
                "a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
                "b": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]},
            },
            bytes(6),
        ),
        header({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        header({"a": {"dtype": "BOOL", "shape": [1], "data_offsets": [0, 1]}}, bytes(1)),
        header([1, 2]),
        sound_safetensors()[:-1],
        sound_safetensors() + b"x",
    ],
)
def test_safetensors_that_lie(tmp_path: Path, bpe: Path, content: bytes) -> None:
    source = tmp_path / "bad.safetensors"
    source.write_bytes(content)
    before = set(os.listdir(tmp_path))
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert set(os.listdir(tmp_path)) == before


def gguf(tensors: int, keys: int, body: bytes) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, keys) + body


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


@pytest.mark.parametrize(
    "config",
    [
        "[]",
        "1",
        "null",
        "{",
        "[" * 100_000,
        '{"model_type": "clip", "text_config": 3}',
        '{"model_type": "clip", "text_config": []}',
    ],
)
def test_configs_of_other_types(tmp_path: Path, bpe: Path, config: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").write_bytes(sound_safetensors())
    done = convert(folder, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize("name", ["../other.safetensors", "/etc/passwd", "..", "", "a/b.safetensors", 7])
def test_shard_indices_that_lead_elsewhere(tmp_path: Path, bpe: Path, name: object) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "clip"}')
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    (tmp_path / "other.safetensors").write_bytes(sound_safetensors())
    done = convert(folder, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_bomb_of_merges(source: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "merges.txt.gz"
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as file:
        for _ in range(70):
            file.write(bytes(1 << 20))
    bomb.write_bytes(packed.getvalue())
    done = convert(source, tmp_path / "out.gguf", "--bpe", bomb)
    assert done.returncode == 1
    assert "of merges" in done.stderr


def test_devices_and_folders_are_not_replaced(source: Path, bpe: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out.gguf"
    folder.mkdir()
    assert convert(source, folder, "--bpe", bpe).returncode == 1
    assert folder.is_dir()
    fifo = tmp_path / "fifo.gguf"
    os.mkfifo(fifo)
    done = convert(source, fifo, "--bpe", bpe)
    assert done.returncode == 1
    assert fifo.is_fifo()
    assert (
        convert(fifo, tmp_path / "other.gguf", "--bpe", bpe).returncode == 1
    )  # at once: it does not wait for a writer


def not_a_file(path: Path, kind: str) -> Path:
    path.unlink(missing_ok=True)
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a folder":
        path.mkdir()
    else:
        path.symlink_to("nowhere")
    return path


KINDS = ["a pipe", "a device", "a folder", "none"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "model.safetensors",
        "model.safetensors.index.json",
        "shard.safetensors",
        "vocab.json",
        "merges.txt",
        "tokenizer.json",
        "preprocessor_config.json",
    ],
)
def test_folders_of_pipes_and_devices(tmp_path: Path, weights: dict[str, np.ndarray], name: str, kind: str) -> None:
    folder = huggingface_folder(weights, tmp_path / "folder")
    if name == "shard.safetensors":
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    if name == "tokenizer.json":
        (folder / "vocab.json").unlink()
    not_a_file(folder / name, kind)
    done = convert(folder, tmp_path / "out.gguf")
    assert done.returncode == 1
    assert f"{folder / name}: expected a regular file, found {kind}" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["config.json", "open_clip_config.json", "bpe_merges_x.txt"])
def test_pipes_and_devices_beside_a_source(source: Path, tmp_path: Path, name: str, kind: str) -> None:
    beside = not_a_file(source.with_name(name), kind)
    done = convert(source, tmp_path / "out.gguf")
    assert done.returncode == 1
    assert f"{beside}: expected a regular file, found {kind}" in done.stderr


@pytest.mark.parametrize("kind", KINDS[:2])
@pytest.mark.parametrize("name", ["a.pt", "a.gguf", "a.safetensors"])
def test_sources_and_merges_that_are_pipes_and_devices(
    source: Path, bpe: Path, tmp_path: Path, name: str, kind: str
) -> None:
    odd = not_a_file(tmp_path / name, kind)
    for arguments in ((odd, tmp_path / "out.gguf", "--bpe", bpe), (source, tmp_path / "out.gguf", "--bpe", odd)):
        done = convert(*arguments)
        assert done.returncode == 1
        assert f"{odd}: expected a regular file, found {kind}" in done.stderr


def test_links_to_files_are_files(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    """Hugging Face's cache is a folder of them."""
    folder = huggingface_folder(weights, tmp_path / "folder")
    cache = tmp_path / "cache"
    cache.mkdir()
    for file in folder.iterdir():
        (cache / file.name).symlink_to(file)
    done = convert(cache, tmp_path / "out.gguf")
    assert done.returncode == 0, done.stderr


def test_many_merges_in_one_long_token() -> None:
    letters = [chr(0x4E00 + i) for i in range(16_000)]
    pairs = [left + right for left, right in zip(letters[::2], letters[1::2], strict=True)]
    start = time.perf_counter()
    assert len(recover_merges([*letters, *pairs, "".join(letters)])) == len(pairs)
    assert time.perf_counter() - start < 4  # 0.1 s; by a look through the word for each merge, 20 s
