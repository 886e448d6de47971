"""What is written: the types, the same bytes twice, nothing on failure; what is refused."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader
from safetensors.numpy import save_file

from clipon_convert.dtypes import from_bf16, quantise, to_bf16
from clipon_convert.sources.torch_archive import read_torch_archive
from conftest import convert, make_weights


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "int8"])
def test_types(source: Path, bpe: Path, tmp_path: Path, weights: dict[str, np.ndarray], dtype: str) -> None:
    out = tmp_path / "a.gguf"
    assert convert(source, out, "--bpe", bpe, "--dtype", dtype).returncode == 0
    tensors = {t.name: t for t in GGUFReader(out).tensors}
    expected = weights["visual.transformer.resblocks.0.mlp.c_fc.weight"]
    matrix = tensors["v.blk.0.ffn_down.weight"]
    if dtype == "int8":
        scale = tensors["v.blk.0.ffn_down.weight.scale"].data
        found = matrix.data.astype(np.float32) * scale[:, None]
        assert (np.abs(found - expected).max(axis=1) <= 0.5001 * scale).all()
        assert tensors["t.token_embd.weight"].tensor_type == GGMLQuantizationType.F16
    elif dtype == "bf16":
        found = from_bf16(matrix.data.view(np.uint16)).reshape(expected.shape)
        assert (np.abs(found - expected) <= np.abs(expected) * 2**-8).all()
    else:
        step = 0.0 if dtype == "f32" else 2**-11
        # half an ulp; below 2^-14 f16 is subnormal with steps of 2^-24
        assert (np.abs(matrix.data.astype(np.float32) - expected) <= np.abs(expected) * step + 2**-25).all()
    assert tensors["v.blk.0.ffn_down.bias"].tensor_type == GGMLQuantizationType.F32


def test_same_bytes_twice(source: Path, bpe: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert convert(source, tmp_path / f"{name}.gguf", "--bpe", bpe, "--dtype", "int8").returncode == 0
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


def test_bf16_rounds_to_nearest_even() -> None:
    bits = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x3F7FFFFF], np.uint32)
    assert to_bf16(bits.view(np.float32)).tolist() == [0x3F80, 0x3F82, 0x3F81, 0x3F80]


def test_quantise_rows_of_zeros() -> None:
    values, scale = quantise(np.array([[0.0, 0.0], [-2.0, 1.0]], np.float32))
    assert values.tolist() == [[0, 0], [-127, 64]]
    assert scale.tolist() == [0.0, pytest.approx(2 / 127)]


def nothing_left(folder: Path, before: set[str]) -> bool:
    return set(os.listdir(folder)) == before


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"visual.proj": None}, "visual.attnpool"),
        ({"visual.ln_post.bias": None}, "visual.ln_post.bias"),
        ({"extra.weight": np.zeros(3, np.float32)}, "extra.weight"),
        ({"visual.ln_post.bias": np.zeros(3, np.float32)}, "expected shape [64], found [3]"),
        ({"visual.class_embedding": np.full(64, np.nan, np.float32)}, "NaN"),
        ({"logit_scale": None}, "logit_scale"),
        ({"text_projection": np.full((64, 24), 1e30, np.float32)}, "too large for f16"),
    ],
)
def test_refusals(bpe: Path, tmp_path: Path, change: dict[str, np.ndarray | None], word: str) -> None:
    weights = make_weights()
    for name, values in change.items():
        if values is None:
            del weights[name]
        else:
            weights[name] = values
    source = tmp_path / "broken.safetensors"
    save_file(weights, source)
    before = set(os.listdir(tmp_path))
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe, "--dtype", "f16")
    assert done.returncode == 1
    assert word in done.stderr
    assert done.stderr.count("\n") == 1
    assert nothing_left(tmp_path, before)


def test_full_disk_leaves_nothing_behind(source: Path, bpe: Path, tmp_path: Path) -> None:
    import resource
    import subprocess
    import sys

    before = set(os.listdir(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "clipon_convert", str(source), str(tmp_path / "out.gguf"), "--bpe", str(bpe), "--quiet"],
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        check=False,
        # a file may not grow beyond 64 KB: the write fails half way, as on a full disk
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )
    assert done.returncode == 1, done.stderr
    assert nothing_left(tmp_path, before)


def test_sha256(source: Path, bpe: Path, tmp_path: Path) -> None:
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe, "--sha256", "0" * 64)
    assert done.returncode == 1
    assert "SHA-256" in done.stderr
    published = tmp_path / "ViT-B-32.pt"
    published.write_bytes(b"not OpenAI's")
    done = convert(published, tmp_path / "out.gguf", "--bpe", bpe)
    assert "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af" in done.stderr


def archive(path: Path, payload: bytes, compress: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compress) as file:
        file.writestr("archive/data.pkl", payload)
        file.writestr("archive/version", "3\n")
    return path


class Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_that_run_code_are_refused(tmp_path: Path, bpe: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    source = archive(tmp_path / "evil.pt", pickle.dumps({"visual.proj": Attack(marker)}, protocol))
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert "system" in done.stderr
    assert not marker.exists()
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cbuiltins\n__import__\n(S'os'\ntR.",
        b"ctorch.storage\n_load_from_bytes\n(S'x'\ntR.",
        b"cfunctools\npartial\n(tR.",
        b"garbage",
        b"",
        b"\x80\x02]q\x00.",
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, payload: bytes) -> None:
    from clipon_convert.errors import ConversionError

    with pytest.raises(ConversionError):
        read_torch_archive(archive(tmp_path / "odd.pt", payload))


def test_zip_tricks_are_refused(tmp_path: Path) -> None:
    from clipon_convert.errors import ConversionError

    with pytest.raises(ConversionError, match="uncompressed"):  # a bomb needs compression
        read_torch_archive(archive(tmp_path / "bomb.pt", b"\x80\x02}." + bytes(1000), zipfile.ZIP_DEFLATED))
    two = tmp_path / "two.pt"
    with zipfile.ZipFile(two, "w") as file:
        file.writestr("a/data.pkl", b"\x80\x02}.")
        file.writestr("b/data.pkl", b"\x80\x02}.")
    with pytest.raises(ConversionError, match=r"one data\.pkl"):
        read_torch_archive(two)
    plain = tmp_path / "plain.pt"
    plain.write_bytes(pickle.dumps({}))
    with pytest.raises(ConversionError, match="ZIP"):
        read_torch_archive(plain)


def without(package: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The converter where this package is not installed."""
    run = "runpy.run_module('clipon_convert', run_name='__main__')"
    code = f"import runpy, sys; sys.modules[sys.argv.pop(1)] = None; {run}"
    line = [sys.executable, "-c", code, package, *map(str, arguments)]
    return subprocess.run(
        line, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_is_missing_is_said_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    done = without("numpy", "--help")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "the package numpy" in done.stderr and "pip install" in done.stderr
    done = without("torch", source, tmp_path / "a.gguf", "--verify")
    assert done.returncode == 1
    assert "the package torch" in done.stderr and not (tmp_path / "a.gguf").exists()
    done = convert(source, tmp_path / "none/a.gguf")
    assert done.returncode == 1
    assert "none/a.gguf: expected the folder" in done.stderr
