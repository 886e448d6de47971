"""`clipon index`, `search` and `dedupe`: the files, what is found, what a killed writer leaves."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import SAMPLES, Command

FILES = ("index.json", "vectors.npy", "rows.jsonl")


@pytest.fixture
def pictures(clipon: Command) -> Path:
    folder = clipon.work / "pictures"
    (folder / "deeper").mkdir(parents=True)
    for i, sample in enumerate(sorted(SAMPLES.glob("*.png"))):
        shutil.copy(sample, folder / ("deeper" if i % 2 else ".") / sample.name)
    return folder


def rows(index: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (index / "rows.jsonl").read_text().splitlines()]


def summary(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("kind", "error"), [("f16", 2**-11), ("int8", 0.5 / 127)])
def test_files_hold_the_embeddings(clipon: Command, pictures: Path, kind: str, error: float) -> None:
    index = clipon.work / "index"
    made = summary(clipon("index", pictures, "--index", index, "--type", kind, "--json"))
    assert made["rows"] == made["added"] == 12
    found = rows(index)
    assert [row["path"] for row in found] == sorted(str(path) for path in pictures.rglob("*.png"))
    assert all(row["size"] == Path(str(row["path"])).stat().st_size for row in found)
    clipon("embed", "--images", *[row["path"] for row in found], "-o", clipon.work / "e.npy")
    expected = np.load(clipon.work / "e.npy")
    stored = np.load(index / "vectors.npy")
    assert stored.dtype == (np.float16 if kind == "f16" else np.int8)
    vectors = stored.astype(np.float32)
    if kind == "int8":
        vectors *= np.load(index / "scales.npy")[:, None]
    greatest = np.abs(expected).max(axis=1, keepdims=True)  # a float16 is off by 2^-11 of itself, int8 by half a step
    assert (np.abs(vectors - expected) <= 1.001 * error * greatest).all()


def test_search_words_pictures_and_sums(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"
    clipon("index", pictures, "--index", index)
    vectors = np.load(index / "vectors.npy").astype(np.float32)
    paths = [str(row["path"]) for row in rows(index)]

    def embedded(option: str, item: object) -> np.ndarray:
        clipon("embed", option, item, "-o", clipon.work / "q.npy")
        return np.load(clipon.work / "q.npy")[0]

    texts = clipon.work / "t.txt"
    texts.write_text("pizza\n")
    words, picture = embedded("--texts", texts), embedded("--images", SAMPLES / "house.png")
    both = (words + picture) / np.linalg.norm(words + picture)
    less = (picture - words) / np.linalg.norm(picture - words)
    house = SAMPLES / "house.png"
    for query, vector in (
        (["pizza"], words),
        ([house], picture),
        ([house, "+", "pizza"], both),
        ([f"{house} - pizza"], less),
    ):
        cosines = vectors @ vector
        result = summary(clipon("search", *query, "--index", index, "--top", 5, "--json"))["results"]
        assert [r["path"] for r in result] == [paths[i] for i in np.argsort(-cosines)[:5]]
        np.testing.assert_allclose([r["cosine"] for r in result], np.sort(cosines)[::-1][:5], atol=1e-6)
    for top, count in ((2, 2), (0, 12)):
        table = clipon("search", "pizza", "--index", index, "--top", top).stdout.splitlines()
        assert len(table) == count and table[0].endswith("pizza.png")
    sheet = clipon.work / "sheet.html"
    assert clipon("search", "a <b>pizza</b>", "--index", index, "--top", 3, "--html", sheet).returncode == 0
    page = sheet.read_text()
    assert page.count("data:image/jpeg;base64,") == 3 and "<b>" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "no such command" not in clipon("search", "pizza +", "--index", index).stderr


def test_update_takes_what_is_new_changed_or_gone(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"
    clipon("index", pictures, "--index", index)
    before = np.load(index / "vectors.npy")
    unchanged = summary(clipon("index", pictures, "--index", index, "--json"))
    assert (unchanged["rows"], unchanged["added"], unchanged["changed"], unchanged["removed"]) == (12, 0, 0, 0)
    kept = [row for row in rows(index) if Path(str(row["path"])).name not in ("house.png", "pizza.png", "tulip.png")]
    shutil.copy(SAMPLES / "guitar.png", next(pictures.rglob("house.png")))
    next(pictures.rglob("pizza.png")).unlink()
    os.utime(next(pictures.rglob("tulip.png")), (1, 1))
    shutil.copy(SAMPLES / "pizza.png", pictures / "new.png")
    (pictures / "broken.png").write_text("not a picture")
    done = clipon("index", pictures, "--index", index, "--json")
    assert done.returncode == 3 and "broken.png" in done.stderr
    updated = json.loads(done.stdout)
    assert (updated["rows"], updated["added"], updated["changed"], updated["removed"]) == (13, 2, 2, 1)
    assert rows(index)[:9] == kept
    after = np.load(index / "vectors.npy")
    assert after.shape == (13, 192)
    broken = [bool(row.get("error")) for row in rows(index)]
    assert broken.count(True) == 1 and np.isnan(after[broken.index(True)]).all()
    assert all(any((row == old).all() for old in before) for row in after[:9])
    found = summary(clipon("search", "guitar", "--index", index, "--top", 99, "--json"))["results"]
    assert len(found) == 12 and {Path(r["path"]).name for r in found[:2]} == {"guitar.png", "house.png"}
    again = summary(clipon("index", pictures, "--index", index, "--json"))  # what failed is not tried again
    assert (again["rows"], again["failed"]) == (13, 0)


def test_a_name_that_is_not_utf8_is_kept_byte_for_byte(clipon: Command) -> None:
    folder, index = clipon.work / "odd", clipon.work / "index"
    folder.mkdir()
    names = [b"caf\xe9.png", b"caf\xe8.png", "caf\u00e9.png".encode()]
    for name in names:
        (folder / os.fsdecode(name)).write_bytes((SAMPLES / "pizza.png").read_bytes())
    assert summary(clipon("index", folder, "--index", index, "--json"))["added"] == 3
    again = summary(clipon("index", folder, "--index", index, "--json"))
    assert (again["rows"], again["added"], again["removed"]) == (3, 0, 0)
    line = [clipon.program, "search", "pizza", "--index", index]
    found = subprocess.run(line, capture_output=True, check=True, timeout=60).stdout.splitlines()
    assert sorted(line.split(b"/")[-1] for line in found) == sorted(names)
    shown = summary(clipon("search", "pizza", "--index", index, "--json"))["results"]
    assert sorted(Path(r["path"]).name for r in shown) == ["caf\u00e9.png", "caf\ufffd.png", "caf\ufffd.png"]
    (index / "rows.jsonl").write_text((index / "rows.jsonl").read_text().replace("[47,", '["/",'))
    done = clipon("search", "pizza", "--index", index)
    assert done.returncode == 1 and "expected path_bytes" in done.stderr


def test_a_file_that_could_not_be_read_is_tried_again(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"
    (pictures / "broken.png").write_text("no picture")
    (pictures / "locked.png").write_bytes((SAMPLES / "house.png").read_bytes())
    (pictures / "locked.png").chmod(0)
    plain_user = []  # root reads what it may not, unless it gives that up
    if os.geteuid() == 0:
        plain_user = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
        if shutil.which("setpriv") is None or subprocess.run([*plain_user, "true"], check=False).returncode != 0:
            pytest.skip("needs setpriv, or a user other than root")
    line = [*plain_user, clipon.program, "index", pictures, "--index", index, "--json"]
    for _ in range(2):
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 3, done.stderr
        assert "locked.png: picture: Permission denied" in done.stderr
        assert sum("error" in row for row in rows(index)) == 2
    assert "broken.png" not in done.stderr  # tried once
    (pictures / "locked.png").chmod(0o600)
    assert summary(clipon("index", pictures, "--index", index, "--json"))["changed"] == 1
    assert [Path(str(row["path"])).name for row in rows(index) if "error" in row] == ["broken.png"]


def test_killed_five_times_gives_the_same_files(clipon: Command, pictures: Path) -> None:
    many = clipon.work / "many"
    many.mkdir()
    samples = sorted(pictures.rglob("*.png"))
    for i in range(600):
        shutil.copy(samples[i % len(samples)], many / f"{i:04}.png")
    whole, broken = clipon.work / "whole", clipon.work / "broken"
    start = time.monotonic()
    assert clipon("index", many, "--index", whole, "--batch", 8).returncode == 0
    duration = time.monotonic() - start
    generator = random.Random(5)
    line = [str(x) for x in (clipon.program, "index", many, "--index", broken, "--batch", 8)]
    killed, sizes = 0, []
    while killed < 5:
        with subprocess.Popen(line, stdout=subprocess.DEVNULL) as process:
            time.sleep(generator.uniform(0.02, 0.3) * duration)
            process.send_signal(signal.SIGKILL)
        killed += process.returncode == -signal.SIGKILL
        if process.returncode == 0:  # it was faster: from the beginning
            shutil.rmtree(broken)
            killed = 0
        sizes.append(len((broken / "rows.jsonl").read_text().splitlines()) if (broken / "rows.jsonl").exists() else 0)
    print("rows after each kill:", sizes)
    assert clipon("index", many, "--index", broken, "--batch", 8).returncode == 0
    for name in FILES:
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name


def test_leftovers_of_a_batch_are_cut_off(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"
    clipon("index", pictures, "--index", index)
    good = {name: (index / name).read_bytes() for name in FILES}
    with (index / "vectors.npy").open("ab") as file:
        file.write(b"x" * 1000)
    with (index / "rows.jsonl").open("a") as file:
        file.write('{"path": "/half/a li')
    assert len(summary(clipon("search", "pizza", "--index", index, "--top", 99, "--json"))["results"]) == 12
    summary(clipon("index", pictures, "--index", index, "--json"))
    assert {name: (index / name).read_bytes() for name in FILES} == good
    # rows without their vectors are made again
    (index / "vectors.npy").write_bytes(good["vectors.npy"][: 128 + 5 * 192 * 2 + 7])
    assert summary(clipon("index", pictures, "--index", index, "--json"))["added"] == 7
    assert {name: (index / name).read_bytes() for name in FILES} == good
    # a replacement: not begun in earnest, and half done
    (index / "rows.jsonl.new").write_text("nonsense")
    summary(clipon("index", pictures, "--index", index, "--json"))
    assert {name: (index / name).read_bytes() for name in FILES} == good
    (index / "rows.jsonl").rename(index / "rows.jsonl.new")
    (index / "rows.jsonl").write_text("old\n")
    (index / "replacing").touch()
    refused = clipon("search", "pizza", "--index", index)
    assert refused.returncode == 1 and "interrupted" in refused.stderr
    summary(clipon("index", pictures, "--index", index, "--json"))
    assert {name: (index / name).read_bytes() for name in FILES} == good


def test_mistakes_are_named(clipon: Command, pictures: Path, model32: Path) -> None:
    index = clipon.work / "index"
    done = clipon("search", "pizza", "--index", clipon.work / "none")
    assert done.returncode == 1 and "expected an index, found none" in done.stderr
    clipon("index", pictures, "--index", index)
    for command in (("search", "a"), ("index", pictures)):
        done = clipon("--model", model32, *command, "--index", index)
        assert done.returncode == 2 and "model" in done.stderr, done.stderr
    done = clipon("index", pictures, "--index", index, "--type", "int8")
    assert done.returncode == 2 and "stored as int8, found one by" in done.stderr
    for query in ("+ pizza", "pizza +", "pizza + ", "a +  - b", "pizza + + guitar", "pizza - -", "+"):
        done = clipon("search", query, "--index", index)
        assert done.returncode == 2 and f"query '{query}': expected words or a picture before and after" in done.stderr
    done = clipon("search", "pizza", "--index", index, "--top", -1)
    assert done.returncode == 2 and "--top" in done.stderr and done.stdout == ""
    (index / "index.json").write_text("{}")
    done = clipon("search", "a", "--index", index)
    assert done.returncode == 1 and "clipon_index" in done.stderr


def test_dedupe(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"
    shutil.copy(SAMPLES / "house.png", pictures / "z.png")
    shutil.copy(SAMPLES / "tulip.png", pictures / "a.png")
    clipon("index", pictures, "--index", index)
    result = summary(clipon("dedupe", "--index", index, "--json"))
    groups = [sorted(Path(m["path"]).name for m in group) for group in result["groups"]]
    assert sorted(groups) == [["a.png", "tulip.png"], ["house.png", "z.png"]]
    assert all(m["cosine"] == pytest.approx(1, abs=1e-3) for group in result["groups"] for m in group)
    table = clipon("dedupe", "--index", index).stdout
    assert table.count("\n\n") == 2 and table.count(".png") == 4
