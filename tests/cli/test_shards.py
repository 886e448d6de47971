"""WebDataset shards that are not what `clipon evaluate` can be right about: nothing of them is left out in silence."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from test_commands import one_line

from conftest import SAMPLES, Command

PIZZA = (SAMPLES / "pizza.png").read_bytes()
HOUSE = (SAMPLES / "house.png").read_bytes()
WEBP = b"RIFF\x0c\x00\x00\x00WEBPVP8L"


def shard(path: Path, **files: bytes) -> Path:
    """A shard of files named KEY_EXTENSION here, KEY.EXTENSION there."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_extensions_in_any_case_and_captions_beside_a_class(clipon: Command) -> None:
    data = shard(clipon.work / "0.tar", a_PNG=PIZZA, a_Cls=b"0\n", a_TXT=b"a pizza\nfood", b_Png=HOUSE, b_CLS=b"1")
    (clipon.work / "classnames.txt").write_text("pizza\nhouse\n")
    done = clipon("evaluate", data, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["pictures"], result["top1"]) == (2, 1.0)


@pytest.mark.parametrize(("other", "found"), [({"b_webp": WEBP}, ".webp"), ({}, "none")])
def test_a_label_without_a_picture_has_failed(clipon: Command, other: dict[str, bytes], found: str) -> None:
    data = shard(clipon.work / "0.tar", a_png=PIZZA, a_txt=b"pizza", b_txt=b"house", **other)
    done = clipon("evaluate", data, "--json")
    assert done.returncode == 3, done.stderr
    one_line(done.stderr, "0.tar/b: expected .jpg, .jpeg, .png or .bmp beside the label, found " + found)
    result = json.loads(done.stdout)
    assert (result["pictures"], result["failed"]) == (1, 1)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a_webp": WEBP, "a_cls": b"pizza"}, ["0.tar: expected .jpg, .jpeg, .png or .bmp", "found .webp"]),
        ({"a_png": PIZZA, "a_npy": b"\x93NUMPY"}, ["0.tar/a: expected .cls, .txt or .json", "found .npy"]),
        ({"a_png": PIZZA, "a_cls": b"0"}, ["0.tar/a.cls", "class 0", "found none", "classnames.txt", "--labels-file"]),
        ({"a_png": PIZZA, "a_txt": b"a pizza\nfood\n"}, ["0.tar/a.txt: expected a label of one line, found 2 lines"]),
        ({"a_png": PIZZA, "a_json": b'{"label": "a\\nb\\nc"}'}, ["0.tar/a.json", "found 3 lines"]),
    ],
)
def test_what_is_refused(clipon: Command, files: dict[str, bytes], words: list[str]) -> None:
    done = clipon("evaluate", shard(clipon.work / "0.tar", **files))
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, *words)
