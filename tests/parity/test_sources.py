"""The same weights through other doors: a Hugging Face folder, clip.cpp's own file, clip.cpp's file converted.

Needs --shared for the files that other programs wrote.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import CONVERTER, GOLDEN, Clipon, worst_row

F16_WEIGHTS = 2e-3


@pytest.fixture
def sources(pytestconfig: pytest.Config) -> Path:
    shared = pytestconfig.getoption("shared")
    if shared is None:
        pytest.fail("needs --shared DIR with reference/sources (a skipped test would count as passed)")
    return shared / "reference/sources"


@pytest.mark.parametrize(
    ("name", "converted", "limit"),
    [
        ("tiny-ViT-hf", True, 1e-5),
        ("tiny-ViT.clipcpp-f16.gguf", True, F16_WEIGHTS),
        ("tiny-ViT.clipcpp-f16.gguf", False, F16_WEIGHTS),
    ],
)
def test_source(
    name: str, converted: bool, limit: float, sources: Path, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    model = sources / name
    if converted:
        model = tmp_path / "model.gguf"
        line = [sys.executable, "-m", "clipon_convert", sources / name, model, "--quiet"]
        subprocess.run(line, cwd=CONVERTER, check=True)
    clipon = Clipon(pytestconfig.getoption("clipon").resolve(), model, tmp_path)
    golden = np.load(GOLDEN / "features/tiny-ViT.npz")
    pictures = [GOLDEN / "inputs/images" / str(picture) for picture in golden["image_names"]]
    assert worst_row(clipon.images(pictures), golden["image_features"]) < limit
    texts = [str(text) for text in golden["texts"]]
    assert worst_row(clipon.texts(texts), golden["text_features"]) < limit
    if not converted:
        assert "48894 merges" in clipon.run("info")


def test_verify(made, pytestconfig: pytest.Config, tmp_path: Path) -> None:  # noqa: ANN001
    """clipon_convert --verify agrees, and notices a wrong model."""
    checkpoint, _ = made("tiny-RN")
    command = pytestconfig.getoption("clipon").resolve()
    out = tmp_path / "model.gguf"
    line = [sys.executable, "-m", "clipon_convert", checkpoint, out, "--verify", "--clipon", command]
    done = subprocess.run([str(p) for p in line], cwd=CONVERTER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": ok") == 2
    other = tmp_path / "other.safetensors"
    subprocess.run([sys.executable, GOLDEN / "make_checkpoint.py", "tiny-RN", other, "--seed", "1"], check=True)
    wrong = tmp_path / "wrong.sh"
    wrong.write_text(f'#!/bin/sh\nshift 2\nexec {command} --model {out} "$@"\n')  # answers with the first model
    wrong.chmod(0o755)
    line = [sys.executable, "-m", "clipon_convert", other, tmp_path / "b.gguf", "--verify", "--clipon", wrong]
    done = subprocess.run([str(p) for p in line], cwd=CONVERTER, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "TOO LARGE" in done.stdout
