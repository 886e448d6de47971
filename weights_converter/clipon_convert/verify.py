"""--verify: source (PyTorch) and result (the clipon command) on the same pictures and texts."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from clipon_convert.checkpoint import Checkpoint
from clipon_convert.console import say
from clipon_convert.errors import ConversionError
from clipon_convert.reference_model import ReferenceModel

TEXTS = ["a photo of a cat", "a diagram", "two dogs on a beach, at sunset", "3 red apples", "naïve café"]
# relative error of the worst row: f32 as docs/model_format.md's readers promise; the others are the rounding of weights
LIMITS = {"f32": 5e-5, "f16": 2e-3, "bf16": 2e-2, "int8": 1e-1}


def _npy_to_bmp(pixels: np.ndarray, path: Path) -> None:
    """A 24-bit bitmap of the model's own size: nothing is resized, nothing is lost."""
    height, width, _ = pixels.shape
    rows = np.zeros((height, (width * 3 + 3) // 4 * 4), np.uint8)
    rows[:, : width * 3] = pixels[::-1, :, ::-1].reshape(height, -1)
    header = b"BM" + (54 + rows.size).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    header += (40).to_bytes(4, "little") + width.to_bytes(4, "little") + height.to_bytes(4, "little")
    header += (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24)
    path.write_bytes(header + rows.tobytes())


def _worst(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


def verify(checkpoint: Checkpoint, model: Path, clipon: str, dtype: str) -> int:
    """Prints the error of both towers; 0 if they are as small as the type allows."""
    reference = ReferenceModel(checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)

        def run(*arguments: object) -> str:
            line = [clipon, "--model", model, *arguments]
            done = subprocess.run([str(part) for part in line], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise ConversionError(f"--verify: clipon failed: {done.stderr.strip()}")
            return done.stdout

        rng = np.random.default_rng(0)
        size = checkpoint.vision.image_size
        pixels = rng.integers(0, 256, (4, size, size, 3), dtype=np.uint8)
        pixels[1] = np.linspace(0, 255, size, dtype=np.uint8)[None, :, None]
        for i, picture in enumerate(pixels):
            _npy_to_bmp(picture, work / f"{i}.bmp")
        run("embed", "--raw", "--images", *[work / f"{i}.bmp" for i in range(4)], "-o", work / "images.npy")
        (work / "texts.json").write_text(json.dumps(TEXTS))
        run("embed", "--raw", "--texts", work / "texts.json", "-o", work / "texts.npy")
        tokens = np.zeros((len(TEXTS), checkpoint.text.context_length), np.int64)
        for row, line in zip(tokens, run("tokenize", "--texts", work / "texts.json").splitlines(), strict=True):
            ids = json.loads(line)
            row[: len(ids)] = ids
        errors = {
            "pictures": _worst(np.load(work / "images.npy"), reference.encode_image(pixels)),
            "texts": _worst(np.load(work / "texts.npy"), reference.encode_text(tokens)),
        }
    limit = LIMITS[dtype]
    for what, error in errors.items():
        verdict = "ok" if error <= limit else "TOO LARGE"
        say(f"{what}: relative error of the worst row {error:.1e} (limit {limit:.0e} for {dtype}): {verdict}")
    return 0 if all(error <= limit for error in errors.values()) else 1
