"""--verify with a command in the place of clipon and a model that answers as told: what is compared and returned."""

from __future__ import annotations

import math
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from clipon_convert import cli, verify
from clipon_convert.errors import ConversionError
from clipon_convert.reference_model import ReferenceModel, activate
from clipon_convert.sources.openai import from_weights
from clipon_convert.vocabulary import from_merges
from conftest import MERGES, VOCABULARY, make_weights

COMMAND = """#!{python}
import json, pathlib, shutil, sys
folder = pathlib.Path(__file__).parent
assert sys.argv[1:3] == ["--model", "model.gguf"]
command, *rest = sys.argv[3:]
if command == "tokenize":
    for text in json.loads(pathlib.Path(rest[1]).read_text()):
        print(json.dumps([1] * len(text.split()) + [2]))
elif (folder / "failure").exists():
    sys.exit((folder / "failure").read_text())
elif "--images" in rest:
    for picture in rest[2:-2]:
        shutil.copy(picture, folder)
    shutil.copy(folder / "images.npy", rest[-1])
else:
    shutil.copy(folder / "texts.npy", rest[-1])
"""


class Told:
    """In ReferenceModel's place: rows of ones; keeps what it is asked."""

    def __init__(self, checkpoint: object) -> None:
        del checkpoint

    def encode_image(self, pixels: np.ndarray) -> np.ndarray:
        Told.pixels = pixels
        return np.ones((4, 24), np.float32)

    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        Told.tokens = tokens
        return np.ones((5, 24), np.float32)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(verify, "ReferenceModel", Told)
    path = tmp_path / "clipon"
    path.write_text(COMMAND.format(python=sys.executable))
    path.chmod(0o755)
    np.save(tmp_path / "images.npy", np.ones((4, 24), np.float32))
    np.save(tmp_path / "texts.npy", np.ones((5, 24), np.float32))
    return path


def run(command: Path, dtype: str = "f32") -> int:
    return verify.verify(from_weights(make_weights(), "f32"), Path("model.gguf"), str(command), dtype)


def read_bitmap(path: Path) -> np.ndarray:
    """Pillow's BMP reader in a few lines: rows from below, BGR, padded to four bytes."""
    data = path.read_bytes()
    assert data[:2] == b"BM"
    size, start, header, width, height, planes, bits, compression = struct.unpack("<I4xIIiiHHI", data[2:34])
    assert (size, start, header, planes, bits, compression) == (len(data), 54, 40, 1, 24, 0)
    row = -(-width * 3 // 4) * 4
    assert size == start + row * height
    rows = [data[start + row * y :][: 3 * width] for y in reversed(range(height))]
    return np.array([list(line) for line in rows], np.uint8).reshape(height, width, 3)[..., ::-1]


def test_both_are_asked_the_same(command: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pictures: relative error of the worst row 0.0e+00 (limit 5e-05 for f32): ok",
        "texts: relative error of the worst row 0.0e+00 (limit 5e-05 for f32): ok",
    ]
    assert Told.pixels.shape == (4, 32, 32, 3)
    for i, pixels in enumerate(Told.pixels):
        np.testing.assert_array_equal(read_bitmap(tmp_path / f"{i}.bmp"), pixels)
    for row, text in zip(Told.tokens, verify.TEXTS, strict=True):
        words = len(text.split())
        assert row.tolist() == [1] * words + [2] + [0] * (15 - words)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 5])
def test_bitmaps_of_any_width(tmp_path: Path, width: int) -> None:
    pixels = np.arange(2 * width * 3, dtype=np.uint8).reshape(2, width, 3)
    verify._npy_to_bmp(pixels, tmp_path / "a.bmp")
    np.testing.assert_array_equal(read_bitmap(tmp_path / "a.bmp"), pixels)


@pytest.mark.parametrize("what", ["images", "texts"])
@pytest.mark.parametrize(("dtype", "limit"), [("f32", 5e-5), ("f16", 2e-3), ("bf16", 2e-2), ("int8", 1e-1)])
def test_one_row_of_one_tower_is_enough(
    command: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, dtype: str, limit: float
) -> None:
    answers = np.load(tmp_path / f"{what}.npy")
    for error, code in ((0.9 * limit, 0), (1.1 * limit, 1)):
        answers[2] = 1
        answers[2, :6] += 2 * error  # a quarter of 24: the row's relative error
        np.save(tmp_path / f"{what}.npy", answers)
        assert run(command, dtype) == code
        told = dict(line.split(":", 1) for line in capsys.readouterr().out.splitlines())
        wrong, right = ("pictures", "texts") if what == "images" else ("texts", "pictures")
        assert told[wrong].endswith("TOO LARGE" if code else ": ok")
        assert told[right].endswith(": ok")


def test_commands_that_fail(command: Path, tmp_path: Path) -> None:
    (tmp_path / "failure").write_text("clipon: no such model")
    with pytest.raises(ConversionError, match="--verify: clipon failed: clipon: no such model"):
        run(command)


@pytest.mark.parametrize("code", [0, 1])
def test_the_verdict_is_the_exit_code(
    source: Path, bpe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(verify, "verify", lambda *_: code)
    arguments = (source, tmp_path / "a.gguf", "--bpe", bpe, "--quiet", "--verify", "--clipon", sys.executable)
    assert cli.main([str(part) for part in arguments]) == code


@pytest.mark.parametrize("x", [-3.0, -0.5, 0.7, 2.5])
def test_activations_of_the_reference(x: float) -> None:
    """Hendrycks and Gimpel 2016: x Phi(x), its two approximations."""
    expected = {
        "gelu": x * (1 + math.erf(x / 2**0.5)) / 2,
        "gelu_tanh": x * (1 + math.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3))) / 2,
        "quick_gelu": x / (1 + math.exp(-1.702 * x)),
    }
    for name, value in expected.items():
        assert float(activate(name, torch.tensor(x, dtype=torch.float64))) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("moved", [False, True])
def test_texts_of_the_reference_end_with_their_end(moved: bool) -> None:
    """Tokens after it change nothing, and 0 is a token like others before it."""
    checkpoint = from_weights(make_weights(), "f32")
    checkpoint.vocabulary = from_merges(MERGES)
    if moved:  # the end is not the largest id in every vocabulary
        checkpoint.vocabulary.start_token_id, checkpoint.vocabulary.end_token_id = VOCABULARY - 1, VOCABULARY - 2
    start, end = checkpoint.vocabulary.start_token_id, checkpoint.vocabulary.end_token_id
    reference = ReferenceModel(checkpoint, torch.float64)
    texts = [[start, 0, 7, end, 0, 0], [start, 0, 7, end, 5, 6], [start, 0, 8, end, 0, 0], [start, 1, 7, end, 0, 0]]
    padded, followed, *others = reference.encode_text(np.array(texts))
    np.testing.assert_allclose(followed, padded, rtol=1e-6)
    (short,) = reference.encode_text(np.array([texts[0][:4]]))
    np.testing.assert_allclose(short, padded, rtol=1e-6)
    for other in others:
        assert np.abs(other - padded).max() > 1e-3
