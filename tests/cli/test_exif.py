"""`--exif` and `--truncate` with every command that reads pictures or texts: what they change, and that nothing forgets
them."""

from __future__ import annotations

import csv
import json
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from test_commands import one_line
from test_corrupt import write_png

from conftest import GOLDEN, SAMPLES, Command

LONG = "very " * 100 + "long"


@pytest.fixture
def turned(clipon: Command) -> Path:
    """A picture that its Exif orientation turns by 180 degrees."""
    plain = (GOLDEN / "pictures/rgb.jpg").read_bytes()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0\0\0\0\0"
    path = clipon.work / "turned.jpg"
    path.write_bytes(plain[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + plain[2:])
    return path


@pytest.fixture
def upright(clipon: Command, turned: Path) -> Path:
    """What the image tower sees of it with --exif; of a picture of this size it sees every pixel as it is."""
    seen = []
    for option in ((), ("--exif",)):
        assert clipon("preprocess", turned, "-o", clipon.work / "p.npy", *option).returncode == 0
        seen.append(np.load(clipon.work / "p.npy").astype(int))
    # the resize is not symmetric to the last pixel
    assert np.abs(seen[1] - seen[0][::-1, ::-1]).mean() < 0.25 * np.abs(seen[1] - seen[0]).mean()
    return write_png(clipon.work / "upright.png", seen[1].astype(np.uint8))


def embedded(clipon: Command, *arguments: object) -> np.ndarray:
    done = clipon("embed", *arguments, "-o", clipon.work / "e.npy")
    assert done.returncode == 0, done.stderr
    return np.load(clipon.work / "e.npy")[0]


def test_embed_index_and_search_turn_pictures(clipon: Command, turned: Path, upright: Path) -> None:
    wanted = embedded(clipon, "--images", upright)
    assert embedded(clipon, "--images", turned) @ wanted < 0.999
    np.testing.assert_allclose(embedded(clipon, "--exif", "--images", turned), wanted, atol=1e-6)
    index, page = clipon.work / "index", clipon.work / "page.html"
    assert clipon("index", turned, "--index", index, "--exif").returncode == 0
    assert np.load(index / "vectors.npy")[0].astype(np.float32) @ wanted == pytest.approx(1, abs=1e-3)
    pictures = []
    for query in (("--exif", turned), (upright,)):
        done = clipon("search", *query, "--index", index, "--html", page, "--exif", "--json")
        assert json.loads(done.stdout)["results"][0]["cosine"] == pytest.approx(1, abs=1e-3)
        pictures.append(re.findall(r"base64,([^\"]*)", page.read_text()))
    assert clipon("search", upright, "--index", index, "--html", page).returncode == 0
    assert pictures[0] == pictures[1] != re.findall(r"base64,([^\"]*)", page.read_text())


def test_classify_evaluate_and_probe_turn_pictures(clipon: Command, turned: Path, upright: Path) -> None:
    def cosine_and_pictures(picture: Path, *options: object) -> tuple[float, list[str]]:
        table, predictions, page = (clipon.work / name for name in ("data.csv", "p.csv", "r.html"))
        table.write_text(f"path,label\n{picture},a house\n{picture},a pizza\n")
        done = clipon("evaluate", table, "--predictions", predictions, "--report", page, *options)
        assert done.returncode == 0, done.stderr
        with predictions.open(newline="") as file:
            found = float(next(csv.DictReader(file))["true_cosine"])
        return found, re.findall(r"base64,([^\"]*)", page.read_text())

    def classified(picture: Path, *options: object) -> float:
        done = clipon("classify", picture, "--labels", "a house", "--json", *options)
        return json.loads(done.stdout)["results"][0]["predictions"][0]["cosine"]

    wanted, pictures = cosine_and_pictures(upright)
    found, shown = cosine_and_pictures(turned, "--exif")
    assert found == pytest.approx(wanted, abs=2e-6) and shown == pictures != []
    assert classified(turned, "--exif") == pytest.approx(wanted, abs=2e-6)
    found, shown = cosine_and_pictures(turned)
    assert abs(found - wanted) > 1e-3 and shown != pictures
    assert abs(classified(turned) - wanted) > 1e-3


def test_long_texts_are_cut_by_every_command_that_is_told_to(clipon: Command) -> None:
    house, texts, table = SAMPLES / "house.png", clipon.work / "t.txt", clipon.work / "data.csv"
    texts.write_text(LONG + "\n")
    table.write_text(f"path,label\n{house},{LONG}\n")
    (clipon.work / "data" / LONG[:200]).mkdir(parents=True)
    (clipon.work / "data" / LONG[:200] / "a.png").symlink_to(house)
    (clipon.work / "data" / LONG[:200] / "b.png").symlink_to(house)
    assert clipon("index", house, "--index", clipon.work / "index").returncode == 0
    for line, code in (
        (("classify", house, "--labels", LONG), 2),
        (("evaluate", table), 2),
        (("search", LONG, "--index", clipon.work / "index"), 2),
        (("probe", "curve", clipon.work / "data", "--shots", 1, "--repeats", 1), 2),
        (("similarity", "--images", house, "--texts", texts), 3),
        (("tokenize", LONG), 3),
        (("tokenize", "--texts", texts), 3),
    ):
        done = clipon(*line)
        assert done.returncode == code, (line, done.stderr)
        one_line(done.stderr, "expected at most 32 tokens")
        done = clipon(*line, "--truncate")
        assert (done.returncode, done.stderr) == (0, ""), line
    ids = json.loads(clipon("tokenize", LONG, "--truncate").stdout)
    assert len(ids) == 32 and ids[-1] == 8513
