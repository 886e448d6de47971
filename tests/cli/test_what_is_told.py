"""What commands tell of a picture, a search, a model and themselves, in words and as JSON."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from gguf import GGUFReader
from test_commands import one_line
from test_corrupt import write_png

from conftest import SAMPLES, TESTS, Command

DEMO = SAMPLES.parent / "clipon-demo.gguf"


@pytest.mark.parametrize(("height", "width"), [(40, 90), (90, 40)])
def test_the_height_of_a_picture_stands_before_its_width_in_json(clipon: Command, height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    picture, out = write_png(clipon.work / "a.png", pixels), clipon.work / "a.npy"
    told = json.loads(clipon("preprocess", picture, "-o", out, "--json").stdout)
    assert told == {"out": str(out), "shape": [64, 64, 3], "from": [height, width]}
    assert np.load(out).shape == tuple(told["shape"])
    # in words a picture's width comes first, as is usual
    assert (
        clipon("preprocess", picture, "-o", out).stdout == f"{out}: 64 x 64 x 3 uint8 from {width} x {height} pixels\n"
    )


@pytest.mark.parametrize("query", ["pizza", f"{SAMPLES / 'house.png'} - pizza"])
def test_the_table_of_a_search_has_the_cosines_of_its_json(clipon: Command, pictures: Path, query: str) -> None:
    index = clipon.work / "index"
    assert clipon("index", pictures, "--index", index).returncode == 0
    line = ("search", query, "--index", index, "--top", 0)
    told = json.loads(clipon(*line, "--json").stdout)["results"]
    cosines = [row["cosine"] for row in told]
    assert cosines == sorted(cosines, reverse=True) and len(set(cosines)) == 12
    shown = [text.split(maxsplit=1) for text in clipon(*line).stdout.splitlines()]
    assert shown == [[f"{row['cosine']:.4f}", row["path"]] for row in told]


def fields(text: str) -> dict[str, dict[str, str]]:
    """Section, name, what stands there."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if line.startswith("  "):
            name, _, value = line.strip().partition(" ")
            found[list(found)[-1]][name] = value.strip()
        else:
            found[line] = {}
    return found


@pytest.mark.parametrize("model", ["the demo model", "another"])
def test_info_is_what_the_file_holds(clipon: Command, model32: Path, model: str) -> None:
    path = shutil.copy(DEMO if model == "the demo model" else model32, clipon.work / "m.gguf")
    told = json.loads(clipon("--model", path, "info", "--json").stdout)["model"]
    file = GGUFReader(path)

    def key(name: str) -> object:
        field = file.get_field(name)
        assert field is not None, name
        return field.contents()

    kinds = {tensor.tensor_type.name for tensor in file.tensors if len(tensor.shape) == 2}
    (kind,) = kinds - {"F32"} or kinds
    sums = np.array(key("clipon.crc32c"), "<u4")  # of each tensor
    assert sums.tolist() == [google_crc32c.value(tensor.data.tobytes()) for tensor in file.tensors]
    wanted = {
        "path": str(path),
        "name": key("general.name"),
        "architecture": key("clipon.vision.architecture"),
        "parameters": sum(int(tensor.n_elements) for tensor in file.tensors),
        "stored_type": kind.lower(),
        "file_bytes": Path(path).stat().st_size,
        "fingerprint": f"{google_crc32c.value(sums.tobytes()):08x}",
        "embed_dim": key("clip.vision.projection_dim"),
        "image_size": key("clip.vision.image_size"),
        "context_length": key("clip.text.context_length"),
        "vocabulary": len(key("tokenizer.ggml.tokens")),
    }
    assert {name: told[name] for name in wanted} == wanted
    exact = np.exp(np.float64(key("clipon.logit_scale")))
    assert abs(told["logit_scale"] - exact) <= exact * 2.0**-23  # exp of a float: off by a last place at most


def test_info_in_words_is_its_json(clipon: Command) -> None:
    for options in ((), ("--model", DEMO, "--precision", "int8", "--isa", "scalar", "--threads", 1)):
        told = json.loads(clipon(*options, "info", "--json").stdout)
        shown = fields(clipon(*options, "info").stdout)
        assert list(shown) == ["model", "cpu", "runs"]
        for section, values in shown.items():
            wanted = {
                name: ", ".join(value) if isinstance(value, list) else str(value)
                for name, value in told[section].items()
                if value not in ("", [])  # what is not known is not shown
            }
            if section == "model":
                assert float(values.pop("logit_scale")) == float(wanted.pop("logit_scale"))
            assert values == wanted
        assert {"vocabulary", "fingerprint", "stored_type", "architecture"} <= set(shown["model"])


def test_version(clipon: Command) -> None:
    version = re.search(r"^project\(clipon VERSION (\S+)", (TESTS.parent / "CMakeLists.txt").read_text(), re.MULTILINE)
    assert version is not None
    done = clipon("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, version[1] + "\n", "")
    assert json.loads(clipon("info", "--json").stdout)["clipon"] == version[1]


def test_evaluate_takes_no_synonyms(clipon: Command) -> None:
    """In classify's labels files a tab stands before them: here the whole line would be a label that no picture has."""
    table, folder, labels = (clipon.work / name for name in ("data.csv", "data", "labels.txt"))
    table.write_text(f"path,label\n{SAMPLES / 'house.png'},house\n")
    for name in ("house", "pizza"):
        (folder / name).mkdir(parents=True)
        shutil.copy(SAMPLES / f"{name}.png", folder / name)
    for content, named in (("house\npizza\tfood\n", "pizza"), ("house\thome\tbuilding\npizza\n", "house")):
        labels.write_text(content)
        assert clipon("classify", SAMPLES / "house.png", "--labels-file", labels).returncode == 0
        for data in (table, folder):
            done = clipon("evaluate", data, "--labels-file", labels)
            assert (done.returncode, done.stdout) == (2, "")
            one_line(done.stderr, f"{labels}: expected one label a line, found a tab in '{named}\\x09")
