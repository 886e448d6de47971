"""`clipon evaluate --shift noise` and `jpeg` are ImageNet-C's, seen through a model that measures a picture: a label is
right where a sum of the picture's bytes is above a bound, so that top-1 is the share of pictures where it is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from test_corrupt import write_csv, write_png

from conftest import Command, converted

SIDE = 32
# imagenet_c/corruptions.py
DEVIATIONS = (0.08, 0.12, 0.18, 0.26, 0.38)  # gaussian_noise, of 0..1
QUALITIES = (25, 18, 15, 10, 7)  # jpeg_compression
# of normalised pixels, where a checkpoint does not say: OpenAI's
MEAN, STD = np.array([0.48145466, 0.4578275, 0.40821073]), np.array([0.26862954, 0.26130258, 0.27577711])

AT = (9, 20)  # any pixel
STEP, LEAP = 45.5, 110.5  # between two bytes; about a deviation of the strength in the middle, of the greatest
ABOVE_MEAN = 0.4  # about a deviation of the mean of a picture at the least strength
WAVE = (3, 3)  # a frequency of JPEG's transform
WAVE_LUMINANCE = 29  # its step in ITU-T T.81, table K.1
NONE = "none"  # the label whose sum is 0


def basis(u: int, v: int) -> np.ndarray:
    """Of the transform of a block of 8 x 8 (T.81, A.3.3), of frequencies other than 0; its squares add up to 1."""
    across, down = (np.cos((2 * np.arange(8) + 1) * k * math.pi / 16) for k in (u, v))
    return np.outer(down, across) / 4


def sums() -> dict[str, tuple[np.ndarray, float]]:
    """A label's weights [3, SIDE, SIDE] and bound."""
    y, x = AT
    found = {}
    for label, ones, minus, bound in (
        ("a", [(0, y, x)], [], 128 + STEP),
        ("b", [(0, y, x)], [(1, y, x)], STEP),
        ("c", [(0, y, x)], [(0, y, x + 1)], STEP),
        ("d", [], [], 128 + ABOVE_MEAN),
        ("f", [(0, y, x)], [], 128 + LEAP),
        ("e", [], [], 20.0),  # more than is left of a wave that is lost, less than any that is not
    ):
        weights = np.zeros((3, SIDE, SIDE))
        for at in ones:
            weights[at] = 1
        for at in minus:
            weights[at] = -1
        if label == "d":
            weights[:] = 1 / weights.size
        if label == "e":
            weights[0, :8, :8] = basis(*WAVE)
        found[label] = weights, bound
    return found


@pytest.fixture(scope="session")
def meter(
    pytestconfig: pytest.Config, converter_tests: ModuleType, model32: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """One patch and one block.  Each sum stands in one number and, negated, in the next, so that a layer norm leaves
    its sign; the class token gets it by attention to all tokens alike; the projection turns it into a cosine with its
    label alone.  The text tower is model32's."""
    folder = tmp_path_factory.mktemp("meter")
    wanted = sums()
    (folder / "labels.txt").write_text("\n".join([*wanted, NONE]))
    program = Command(pytestconfig.getoption("clipon").resolve(), folder, "--model", model32)
    assert program("embed", "--texts", folder / "labels.txt", "-o", folder / "texts.npy").returncode == 0
    texts = np.load(folder / "texts.npy")
    weights = converter_tests.make_weights()
    width = weights["visual.conv1.weight"].shape[0]
    for name in [name for name in weights if name.startswith("visual.transformer.resblocks.1.")]:
        del weights[name]
    weights["visual.conv1.weight"] = np.zeros((width, 3, SIDE, SIDE))
    weights["visual.positional_embedding"] = np.zeros((2, width))
    for name, values in weights.items():
        if name.startswith("visual."):
            is_scale = ".ln_" in name and name.endswith(".weight")
            weights[name] = np.full(values.shape, float(is_scale), np.float32)
    block = "visual.transformer.resblocks.0.attn."
    weights[block + "in_proj_weight"][2 * width :] = np.eye(width)
    weights[block + "out_proj.weight"][:] = np.eye(width)
    weights["visual.class_embedding"][-2:] = 1, -1
    directions = np.linalg.pinv(texts.astype(float))  # texts @ directions: 1 for a label's own, else 0
    for k, (sum_weights, bound) in enumerate(wanted.values()):
        of_pixels = sum_weights * (255 * STD)[:, None, None]  # a byte is 255 (STD pixel + MEAN)
        constant = (sum_weights * (255 * MEAN)[:, None, None]).sum() - bound
        for row, sign in ((2 * k, 1), (2 * k + 1, -1)):
            weights["visual.conv1.weight"][row] = sign * of_pixels
            weights["visual.positional_embedding"][1, row] = sign * constant
        weights["visual.proj"][2 * k] = directions[:, k]
    return converted(converter_tests, weights, folder)


class Meter:
    def __init__(self, command: Command, model: Path) -> None:
        self.command, self.model = command, model

    def __call__(self, label: str, pictures: list[np.ndarray], times: int, kind: str) -> tuple[float, list[float]]:
        """The share of pictures whose sum is above the bound, as they are and at each strength."""
        work = self.command.work
        (work / "labels.txt").write_text(f"{label}\n{NONE}\n")
        paths = [write_png(work / f"{i}.png", picture) for i, picture in enumerate(pictures)] * times
        table = write_csv(work / "data.csv", paths, [label] * len(paths))
        line = ("--model", self.model, "evaluate", table, "--labels-file", work / "labels.txt", "--shift", kind)
        done = self.command(*line, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        return told["top1"], [strength["top1"] for strength in told["shift"][kind]]


@pytest.fixture
def measured(clipon: Command, meter: Path) -> Meter:
    return Meter(clipon, meter)


def shares_of_bytes(deviation: float) -> np.ndarray:
    """How often each byte occurs: 128 and normal noise, rounded and cut off at 0 and 255."""
    edges = (np.arange(255) + 0.5 - 128) / (255 * deviation)
    below = np.array([0.0, *(0.5 * math.erfc(-edge / math.sqrt(2)) for edge in edges), 1.0])
    return np.diff(below)


def above(step: float) -> Callable[[float], float]:
    return lambda deviation: shares_of_bytes(deviation)[math.ceil(128 + step) :].sum()


def two_bytes(deviation: float) -> float:
    """Of which neither knows of the other."""
    shares = shares_of_bytes(deviation)
    difference = np.subtract.outer(np.arange(256), np.arange(256))
    return np.outer(shares, shares)[difference > STEP].sum()


def mean(deviation: float) -> float:
    """Of so many independent bytes it is normal."""
    shares, values = shares_of_bytes(deviation), np.arange(256)
    centre = (shares * values).sum()
    variance = (shares * (values - centre) ** 2).sum() / (3 * SIDE**2)
    return 0.5 * math.erfc((128 + ABOVE_MEAN - centre) / math.sqrt(2 * variance))


SHARES = {"a": above(STEP), "f": above(LEAP), "b": two_bytes, "c": two_bytes, "d": mean}
COUNT = 1500  # grey pictures


def wanted_and_bound(label: str, deviation: float) -> tuple[float, float]:
    """Five deviations of the share of so many pictures, which is binomial."""
    share = SHARES[label](deviation)
    return share, 5 * math.sqrt(share * (1 - share) / COUNT)


@pytest.mark.parametrize("label", SHARES, ids=["deviation", "great", "channels", "neighbours", "mean"])
def test_noise(measured: Meter, label: str) -> None:
    clean, found = measured(label, [np.full((SIDE, SIDE, 3), 128, np.uint8)], COUNT, "noise")
    assert clean == 0
    for share, deviation in zip(found, DEVIATIONS, strict=True):
        wanted, bound = wanted_and_bound(label, deviation)
        assert abs(share - wanted) <= bound, (deviation, found, wanted, bound)


def test_another_deviation_would_be_seen() -> None:
    """One that is a quarter greater or less, by at least one of the labels."""
    for deviation in DEVIATIONS:
        for other in (1.25 * deviation, deviation / 1.25):
            pairs = [(wanted_and_bound(label, deviation), SHARES[label](other)) for label in SHARES]
            assert any(abs(share - wanted) > bound for (wanted, bound), share in pairs), (deviation, other)


def quantised_by(quality: int) -> int:
    """The step of WAVE: T.81's table as the Independent JPEG Group scales it by a quality below 50."""
    return (WAVE_LUMINANCE * (5000 // quality) + 50) // 100


def picture_of_wave(height: float) -> tuple[np.ndarray, float]:
    """Grey, with a block of a wave of nearly this height: of many roundings the best, and the height in its bytes."""
    wave = basis(*WAVE)
    dither = np.random.default_rng(0).uniform(0, 1, (1000, 8, 8))
    blocks = np.floor(128 + height * wave + dither)
    heights = (blocks * wave).sum(axis=(1, 2))
    best = abs(heights - height).argmin()
    picture = np.full((SIDE, SIDE, 3), 128, np.uint8)
    picture[:8, :8] = blocks[best][:, :, None]
    return picture, float(heights[best])


def test_jpeg(measured: Meter) -> None:
    """A wave is lost where it is lower than half of its step, and each strength has its own step."""
    steps = [quantised_by(quality) for quality in QUALITIES]
    assert steps == sorted(set(steps))
    made = [picture_of_wave(step / 2 + by) for step in steps for by in (-0.4, 0.4)]
    heights = np.array([height for _, height in made])
    assert (abs(heights - np.repeat(steps, 2) / 2) > 0.3).all()  # far more than floats round
    for quality in QUALITIES:  # one more or less would be seen
        for other in (quality - 1, quality + 1):
            assert (heights > quantised_by(other) / 2).sum() != (heights > quantised_by(quality) / 2).sum()
    clean, found = measured("e", [picture for picture, _ in made], 1, "jpeg")
    assert clean == 1
    assert found == [(heights > step / 2).mean() for step in steps]
