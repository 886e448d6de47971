"""`clipon evaluate --shift` is ImageNet-C's: pixelate, Pillow's BOX filter down to a share of the side and up again;
blur and contrast by their definitions."""

from __future__ import annotations

import csv
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from conftest import SAMPLES, Command

# imagenet_c/corruptions.py
SHARES = (0.6, 0.5, 0.4, 0.3, 0.25)  # pixelate
DEVIATIONS = (1, 2, 3, 4, 6)  # gaussian_blur, of 224 pixels
LEFT = (0.4, 0.3, 0.2, 0.1, 0.05)  # contrast


def box_along(picture: np.ndarray, axis: int, cells: int) -> np.ndarray:
    """Pillow's definition: the mean of the pixels whose centres lie in a cell; each pixel shows its centre's cell."""
    side = picture.shape[axis]
    centres = np.arange(side) + 0.5
    owner = np.floor(centres * cells / side).astype(int)
    rows = np.moveaxis(picture, axis, 0).astype(float)
    means = np.stack([rows[owner == cell].mean(axis=0) for cell in range(cells)])
    return np.moveaxis(np.floor(means + 0.5)[owner], 0, axis).astype(np.uint8)


def pixelated(picture: np.ndarray, share: float) -> np.ndarray:
    side = picture.shape[0]
    cells = int(side * share)
    found = box_along(box_along(picture, 1, cells), 0, cells)
    try:
        from PIL import Image
    except ImportError:  # not among the tests' requirements
        return found
    small = Image.fromarray(picture).resize((cells, cells), Image.Resampling.BOX)
    pillow = np.asarray(small.resize((side, side), Image.Resampling.BOX))
    assert np.array_equal(found, pillow)
    return found


def blurred(picture: np.ndarray, deviation: float) -> np.ndarray:
    """A Gaussian cut off at three deviations, edges repeated."""
    side = picture.shape[0]
    deviation *= side / 224
    reach = int(np.ceil(3 * deviation))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    found = picture.astype(float)
    for axis in (0, 1):
        shifts = [found.take(np.clip(np.arange(side) + d, 0, side - 1), axis) for d in range(-reach, reach + 1)]
        found = np.tensordot(weights / weights.sum(), np.stack(shifts), 1)
    return np.rint(found).astype(np.uint8)


def of_less_contrast(picture: np.ndarray, left: float) -> np.ndarray:
    mean = picture.mean(axis=(0, 1))
    return np.clip(np.rint((picture - mean) * left + mean), 0, 255).astype(np.uint8)


KINDS = {"pixelate": (pixelated, SHARES), "blur": (blurred, DEVIATIONS), "contrast": (of_less_contrast, LEFT)}


def write_png(path: Path, picture: np.ndarray) -> Path:
    height, width, _ = picture.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    raw = b"".join(b"\0" + row.tobytes() for row in picture)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def write_csv(path: Path, pictures: list[Path], labels: list[str]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label"), *zip(pictures, labels, strict=True)])
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_definitions(clipon: Command, kind: str) -> None:
    """Among many labels the same pictures get the same ones, and pictures made worse otherwise do not."""
    generator = np.random.default_rng(0)
    pictures = []
    for sample in sorted(SAMPLES.glob("*.png")):
        assert clipon("preprocess", sample, "-o", clipon.work / "p.npy").returncode == 0
        pixels = np.load(clipon.work / "p.npy")  # as the image tower sees them: it leaves a picture of this size alone
        pictures.append(np.clip(pixels + generator.normal(0, 40, pixels.shape), 0, 255).astype(np.uint8))
    names = (SAMPLES / "labels.txt").read_text().split("\n")[:-1]
    labels = [f"{colour} {name}" for colour in ("red", "blue", "old", "small", "two", "a photo of a") for name in names]
    (clipon.work / "labels.txt").write_text("\n".join(labels))
    paths = [write_png(clipon.work / f"{i}.png", picture) for i, picture in enumerate(pictures)]
    base = ("--labels-file", clipon.work / "labels.txt", "--json")
    corrupted, constants = KINDS[kind]
    for strength, constant in enumerate(constants):
        coarse = [write_png(clipon.work / f"c{i}.png", corrupted(p, constant)) for i, p in enumerate(pictures)]
        guessed = clipon.work / "guessed.csv"
        table = write_csv(clipon.work / "coarse.csv", coarse, [labels[0]] * len(coarse))
        assert clipon("evaluate", table, *base, "--predictions", guessed).returncode == 0
        with guessed.open(newline="") as file:
            found = [row["predicted"] for row in csv.DictReader(file)]
        assert len(set(found)) > 3
        done = clipon("evaluate", write_csv(clipon.work / "data.csv", paths, found), *base, "--shift", kind)
        assert json.loads(done.stdout)["shift"][kind][strength]["top1"] == 1.0
