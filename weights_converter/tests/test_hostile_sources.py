"""Sources other than pickles made to do harm: refused in one line, nothing left behind, in bounded time and memory."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from clipon_convert import files, vocabulary
from clipon_convert.errors import ConversionError
from clipon_convert.sources import safetensors_file
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
        header({"a": {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}}, bytes(1)),
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
    why = (
        "weight 'a': expected one of F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL, found F8_E4M3"
        if b"F8_E4M3" in content
        else "not a safetensors file"
    )
    assert done.stderr.startswith(f"clipon_convert: {source}: {why}"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert set(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("start", [b"", b"\xff" * 8, struct.pack("<Q", 2) + b"{}", struct.pack("<Q", 7) + b'{"a":0}'])
def test_safetensors_are_read_after_their_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    """8 GB of a hole, which takes no disk space but would take memory."""
    source = tmp_path / "vast.safetensors"
    source.write_bytes(start)
    with source.open("r+b") as file:
        file.truncate(8 << 30)
    monkeypatch.setattr(safetensors_file, "read_bytes", lambda _: pytest.fail("it is read"))
    with pytest.raises(ConversionError, match=f"{source}: not a safetensors file: "):
        safetensors_file.read(source)


def test_safetensors_are_no_larger_than_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "vast.safetensors"
    source.write_bytes(sound_safetensors())
    size = source.stat().st_size
    monkeypatch.setattr(safetensors_file, "MAX_BYTES", size)
    assert set(safetensors_file.read(source).weights) == {"visual.proj"}
    monkeypatch.setattr(safetensors_file, "MAX_BYTES", size - 1)
    with pytest.raises(ConversionError, match=f"{source}: expected at most {size - 1} bytes, found {size}"):
        safetensors_file.read(source)


def test_texts_are_limited_before_they_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with path.open("wb") as file:
        file.truncate(files.MAX_TEXT_BYTES + 1)  # a hole: no disk space
    for read in (files.read_text, files.read_json):
        with pytest.raises(ConversionError, match=f"{path}: expected at most {64 << 20} bytes, found {(64 << 20) + 1}"):
            read(path)
    assert len(files.read_bytes(path)) == (64 << 20) + 1  # weights are larger


def test_files_that_grow_are_read_to_the_size_that_was_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """/proc's are regular, of size 0, and may have no end."""
    path = tmp_path / "grown"
    path.write_bytes(b"abcdef")
    monkeypatch.setattr(files, "regular_size", lambda _: 3)
    assert files.read_bytes(path) == b"abc"


def test_texts_are_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "vocab.json"
    path.write_bytes('{"Ġé</w>": 0}'.encode())
    assert files.read_json(path) == {"Ġé</w>": 0}
    path.write_bytes(b'{"\xe9": 0}')
    with pytest.raises(UnicodeDecodeError):
        files.read_json(path)


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
        '{"model_type": "clip", "vision_config_dict": []}',
    ],
)
def test_configs_of_other_types(tmp_path: Path, bpe: Path, config: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "config.json").write_text(config)
    (folder / "model.safetensors").write_bytes(sound_safetensors())
    done = convert(folder, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert done.stderr.startswith(f"clipon_convert: {folder}"), done.stderr
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
    assert str(folder) in done.stderr
    assert "/" not in str(name) or f"expected plain file names, found '{name}'" in done.stderr
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


def test_a_bomb_of_merges_is_not_unpacked_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = tmp_path / "merges.txt.gz"
    bomb.write_bytes(gzip.compress(bytes(32 << 20), 1))
    monkeypatch.setattr(vocabulary, "MAX_TEXT_BYTES", 1 << 20)
    tracemalloc.start()
    try:
        with pytest.raises(ConversionError, match=f"{bomb}: expected at most 1048576 bytes of merges"):
            vocabulary.read_merges_file(bomb, 49408)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


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
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "shard.safetensors",
        "vocab.json",
        "merges.txt",
        "tokenizer.json",
        "preprocessor_config.json",
        "processor_config.json",
        "vocab.txt",
    ],
)
def test_folders_of_pipes_and_devices(tmp_path: Path, weights: dict[str, np.ndarray], name: str, kind: str) -> None:
    folder = huggingface_folder(weights, tmp_path / "folder")
    if name == "shard.safetensors":
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    if name.endswith(".index.json") or name in ("shard.safetensors", "pytorch_model.bin"):
        (folder / "model.safetensors").unlink()
    if name in ("tokenizer.json", "vocab.txt"):
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
