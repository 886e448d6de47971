"""An index with parts that are gone, cut or of another kind; pictures that are gone when a page shows them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from test_commands import one_line
from test_index import summary

from conftest import SAMPLES, Command


def test_a_page_tells_of_a_picture_that_is_gone(clipon: Command, pictures: Path) -> None:
    index, sheet = clipon.work / "index", clipon.work / "sheet.html"
    assert clipon("index", pictures, "--index", index).returncode == 0
    gone = pictures / "<gone>.png"
    next(pictures.rglob("pizza.png")).rename(gone)
    assert clipon("index", pictures, "--index", index).returncode == 0
    gone.unlink()
    assert clipon("search", "pizza", "--index", index, "--top", 2, "--html", sheet).returncode == 0
    first, second = sheet.read_text().split("<figure>")[1:]
    shown = str(gone).replace("<", "&lt;").replace(">", "&gt;")
    assert f'<p class="note">{shown}: picture: No such file or directory</p><figcaption>' in first
    assert "<img" in second and "<p" not in second


@pytest.mark.parametrize(("kind", "cut"), [("f16", "vectors.npy"), ("int8", "vectors.npy"), ("int8", "scales.npy")])
def test_vectors_that_are_cut_are_told(clipon: Command, pictures: Path, kind: str, cut: str) -> None:
    index = clipon.work / "index"
    update = ("index", pictures, "--index", index, "--type", kind, "--json")
    assert clipon(*update).stderr == ""
    for line in (("search", "pizza", "--index", index), ("dedupe", "--index", index)):
        assert clipon(*line).stderr == ""
    size = (index / cut).stat().st_size
    os.truncate(index / cut, 128 + (size - 128) * 7 // 12 + 1)
    warning = f"{index}: index: expected vectors for 12 rows, found 7: "
    for line in (("search", "pizza", "--top", 0, "--index", index), ("dedupe", "--threshold", -1, "--index", index)):
        done = clipon(*line)
        assert done.returncode == 0 and done.stdout.count(".png") == 7
        one_line(done.stderr, warning + "the others are left out until clipon index has made them again")
    done = clipon(*update)
    assert json.loads(done.stdout)["added"] == 5
    one_line(done.stderr, warning + "the others are made again where their pictures are among those named")
    assert clipon(*update).stderr == ""


def test_what_an_interrupted_batch_leaves_is_no_damage(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"
    assert clipon("index", pictures, "--index", index).returncode == 0
    with (index / "vectors.npy").open("ab") as file:
        file.write(b"x" * 1000)
    with (index / "rows.jsonl").open("a") as file:
        file.write('{"path": "/half/a li')
    for line in (("search", "pizza"), ("index", pictures)):
        assert clipon(*line, "--index", index).stderr == ""


@pytest.mark.parametrize("kept", ["vectors.npy", "rows.jsonl", "both"])
def test_rows_of_an_unknown_model_are_not_taken_for_anothers(clipon: Command, pictures: Path, kept: str) -> None:
    index = clipon.work / "index"
    update = ("index", pictures, "--index", index)
    assert clipon(*update).returncode == 0
    (index / "index.json").unlink()
    for name in {"vectors.npy", "rows.jsonl"} - {kept} if kept != "both" else ():
        (index / name).unlink()
    before = {path.name: path.read_bytes() for path in index.iterdir()}
    done = clipon(*update, "--precision", "bf16")
    assert (done.returncode, done.stdout) == (1, "")
    one_line(done.stderr, f"{index}: index: expected index.json, which tells what made the rows, found rows without it")
    assert {path.name: path.read_bytes() for path in index.iterdir()} == before


def test_an_index_of_no_rows_needs_no_head(clipon: Command) -> None:
    index, picture = clipon.work / "index", shutil.copy(SAMPLES / "house.png", clipon.work / "a.png")
    for _ in range(2):
        assert summary(clipon("index", picture, "--index", index, "--json"))["rows"] == 1
        shutil.rmtree(index)
        index.mkdir()
        (index / "rows.jsonl").touch()
        (index / "vectors.npy").write_bytes(b"x" * 128)  # a header alone


@pytest.mark.parametrize("name", ["vectors.npy", "scales.npy", "rows.jsonl", "lock", "replacing"])
def test_a_pipe_among_the_files_is_refused_at_once(clipon: Command, name: str) -> None:
    index = clipon.work / "index"
    update = ("index", SAMPLES / "house.png", "--index", index, "--type", "int8")
    assert clipon(*update).returncode == 0
    (index / name).unlink(missing_ok=True)
    os.mkfifo(index / name)
    done = clipon(*update, timeout=10)
    if name == "replacing":  # its being there is all that counts
        assert done.returncode == 0 and not (index / name).exists()
        return
    assert (done.returncode, done.stdout) == (1, "")
    one_line(done.stderr, f"{index / name}: index: expected a regular file, found a device or pipe")


def test_pages_are_utf8_whatever_a_name_holds(clipon: Command) -> None:
    name = clipon.work / os.fsdecode(b"a\xff\xe2\x82b\xed\xa0\x80\xc3\xa9.png")
    shutil.copy(SAMPLES / "pizza.png", name)
    index, sheet, page = (clipon.work / part for part in ("index", "s.html", "r.html"))
    assert clipon("index", name, "--index", index).returncode == 0
    done = clipon("search", "pizza", "--index", index, "--html", sheet)
    assert done.returncode == 0, done.stderr
    assert "a\ufffd\ufffdb\ufffd\ufffd\ufffd\u00e9.png<" in sheet.read_bytes().decode()
    table = clipon.work / os.fsdecode(b"x\xe9.csv")
    table.write_bytes(b"path,label\n" + os.fsencode(SAMPLES / "pizza.png") + b",house\n")
    assert clipon("evaluate", table, "--report", page, "--json").returncode == 0
    assert "x\ufffd.csv</h1>" in page.read_bytes().decode()
