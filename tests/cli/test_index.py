"""`clipon index`, `search` and `dedupe`: the files, what is found, what a killed writer leaves."""

from __future__ import annotations

import base64
import fcntl
import html
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from conftest import SAMPLES, Command

FILES = ("index.json", "vectors.npy", "rows.jsonl")


def rows(index: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (index / "rows.jsonl").read_text().splitlines()]


def vectors_of(index: Path) -> np.ndarray:
    vectors = np.load(index / "vectors.npy").astype(np.float32)
    return vectors * np.load(index / "scales.npy")[:, None] if (index / "scales.npy").exists() else vectors


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
    assert np.load(index / "vectors.npy").dtype == (np.float16 if kind == "f16" else np.int8)
    vectors = vectors_of(index)
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
    house, suffixless = SAMPLES / "house.png", clipon.work / "house"
    shutil.copy(house, suffixless)
    for query, vector in (
        (["pizza"], words),
        ([house], picture),
        ([house, "+", "pizza"], both),
        ([f"{house} - pizza"], less),
        ([f"{house} - pizza + pizza"], picture),
        (["pizza", "+", suffixless], both),
    ):
        cosines = vectors @ vector
        answer = summary(clipon("search", *query, "--index", index, "--top", 5, "--json"))
        assert (answer["query"], answer["rows"]) == (" ".join(map(str, query)), 12)
        result = answer["results"]
        assert [r["path"] for r in result] == [paths[i] for i in np.argsort(-cosines)[:5]]
        np.testing.assert_allclose([r["cosine"] for r in result], np.sort(cosines)[::-1][:5], atol=1e-6)
    for top, count in ((2, 2), (0, 12)):
        table = clipon("search", "pizza", "--index", index, "--top", top).stdout.splitlines()
        assert len(table) == count and table[0].endswith("pizza.png")
    assert "no such command" not in clipon("search", "pizza +", "--index", index).stderr


def test_contact_sheet(clipon: Command, pictures: Path) -> None:
    index, sheet, query = clipon.work / "index", clipon.work / "sheet.html", 'a <b>"pizza"</b> & more'
    shutil.copy(SAMPLES / "pizza.png", pictures / "<b> & pizza.png")
    clipon("index", pictures, "--index", index)
    search = ("search", query, "--index", index, "--top", 3, "--html", sheet)
    assert clipon(*search).stdout == f"{sheet}: 3 pictures\n"
    page = sheet.read_text()
    assert page.count("<title>a &lt;b&gt;&quot;pizza&quot;&lt;/b&gt; &amp; more</title>") == 1 and "<b>" not in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    sheet.unlink()
    results = summary(clipon(*search, "--json"))["results"]
    assert sheet.read_text() == page
    shown = re.findall(r"base64,([^\"]*)\"><figcaption>([^<]*)<", page)
    assert [caption for _, caption in shown] == [html.escape(f"{r['cosine']:.4f} {r['path']}") for r in results]
    for i, (content, _) in enumerate(shown):
        (clipon.work / f"{i}.jpg").write_bytes(base64.b64decode(content, validate=True))
        clipon("embed", "--images", clipon.work / f"{i}.jpg", results[i]["path"], "-o", clipon.work / "e.npy")
        first, second = np.load(clipon.work / "e.npy")
        assert first @ second > 0.95  # a JPEG of what the image tower sees
    Path(str(results[1]["path"])).unlink()
    assert clipon(*search).returncode == 0
    assert (sheet.read_text().count("<img"), sheet.read_text().count("<figcaption>")) == (2, 3)


def test_batches_before_a_full_disk_stay(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write past the limit fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (128 + 7 * 192 * 2, 128 + 7 * 192 * 2))

    line = [str(part) for part in (clipon.program, "index", pictures, "--index", index, "--batch", 3)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60, preexec_fn=limited)
    assert (done.returncode, done.stderr) == (1, f"clipon: {index}/vectors.npy: index: File too large\n")
    assert len(rows(index)) == len(np.load(index / "vectors.npy")) == 6
    assert summary(clipon("index", pictures, "--index", index, "--json"))["added"] == 6


@pytest.mark.parametrize("kind", ["f16", "int8"])
def test_update_takes_what_is_new_changed_or_gone(clipon: Command, pictures: Path, kind: str) -> None:
    index = clipon.work / "index"
    clipon.base = ("--batch", 1)
    clipon("index", pictures, "--index", index, "--type", kind)
    before = vectors_of(index)
    unchanged = summary(clipon("index", pictures, "--index", index, "--type", kind, "--json"))
    assert (unchanged["rows"], unchanged["added"], unchanged["changed"], unchanged["removed"]) == (12, 0, 0, 0)
    kept = [row for row in rows(index) if Path(str(row["path"])).name not in ("house.png", "pizza.png", "tulip.png")]
    shutil.copy(SAMPLES / "guitar.png", next(pictures.rglob("house.png")))
    next(pictures.rglob("pizza.png")).unlink()
    os.utime(next(pictures.rglob("tulip.png")), (1, 1))
    shutil.copy(SAMPLES / "pizza.png", pictures / "new.png")
    for name in ("broken.png", "zzz.png"):
        (pictures / name).write_text("not a picture")
    done = clipon("index", pictures, "--index", index, "--type", kind, "--json")
    assert done.returncode == 3 and "broken.png" in done.stderr
    updated = json.loads(done.stdout)
    assert (updated["rows"], updated["added"], updated["changed"], updated["removed"]) == (14, 3, 2, 1)
    assert updated["failed"] == 2
    assert rows(index)[:9] == kept
    after = vectors_of(index)
    assert after.shape == (14, 192)
    broken = [bool(row.get("error")) for row in rows(index)]
    assert broken.count(True) == 2 and np.isnan(after[broken]).all() and np.isfinite(after[~np.array(broken)]).all()
    assert all(any((row == old).all() for old in before) for row in after[:9])
    found = summary(clipon("search", "guitar", "--index", index, "--top", 99, "--json"))["results"]
    assert len(found) == 12 and {Path(r["path"]).name for r in found[:2]} == {"guitar.png", "house.png"}
    (pictures / "new.png").unlink()
    again = summary(clipon("index", pictures, "--index", index, "--type", kind, "--json"))
    assert (again["rows"], again["failed"]) == (13, 0)  # what failed is not tried again
    assert sum("error" in row for row in rows(index)) == 2  # and is known to have failed
    whole = clipon.work / "whole"
    clipon("index", *[row["path"] for row in rows(index)], "--index", whole, "--type", kind)
    kept_vectors = {str(row["path"]): vector for row, vector in zip(rows(index), vectors_of(index), strict=True)}
    for row, vector in zip(rows(whole), vectors_of(whole), strict=True):
        assert np.array_equal(kept_vectors[str(row["path"])], vector, equal_nan=True), row


def test_the_size_and_every_digit_of_the_time_tell_what_changed(clipon: Command) -> None:
    index, picture = clipon.work / "index", clipon.work / "a.png"
    shutil.copy(SAMPLES / "house.png", picture)
    for bytes_more, nanoseconds, changed in ((0, 10**18, 0), (0, 10**18, 0), (0, 10**18 + 1, 1), (1, 10**18 + 1, 1)):
        with picture.open("ab") as file:
            file.write(b"x" * bytes_more)  # behind the picture's end
        os.utime(picture, ns=(nanoseconds, nanoseconds))
        assert summary(clipon("index", picture, "--index", index, "--json"))["changed"] == changed


def test_folders_join_and_a_picture_is_one_row_however_it_is_named(
    clipon: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(clipon.work)
    index = clipon.work / "index"
    for name in ("a", "b"):
        (clipon.work / name).mkdir()
        shutil.copy(SAMPLES / "house.png", clipon.work / name / "x.png")
    (clipon.work / "link").symlink_to("a")
    names = (f"{clipon.work}/./b/x.png", clipon.work / "b", "b/x.png", "link/../b/x.png")
    assert summary(clipon("index", *names, "--index", index, "--json"))["added"] == 1
    joined = summary(clipon("index", clipon.work / "link/x.png", clipon.work / "a", "--index", index, "--json"))
    assert (joined["rows"], joined["added"], joined["removed"]) == (3, 2, 0)
    assert [row["path"] for row in rows(index)] == [str(clipon.work / part / "x.png") for part in ("b", "a", "link")]
    (clipon.work / "b/x.png").unlink()
    assert summary(clipon("index", clipon.work / "a", "--index", index, "--json"))["removed"] == 1


@pytest.mark.parametrize("kind", [fcntl.LOCK_EX, fcntl.LOCK_SH])
def test_one_writer_at_a_time(clipon: Command, kind: int) -> None:
    index = clipon.work / "index"
    assert clipon("index", SAMPLES / "house.png", "--index", index).returncode == 0
    good = {name: (index / name).read_bytes() for name in FILES}
    with (index / "lock").open() as lock:
        fcntl.flock(lock, kind)
        done = clipon("index", SAMPLES / "pizza.png", "--index", index)
        assert (done.returncode, done.stderr) == (1, f"clipon: {index}: index: another clipon is at work on it\n")
        assert clipon("search", "house", "--index", index).returncode == 0
    assert {name: (index / name).read_bytes() for name in FILES} == good


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


def test_a_path_that_stands_twice_in_an_index_is_counted_once(clipon: Command) -> None:
    index, picture, other = (clipon.work / name for name in ("index", "a.png", "b.png"))
    for path in (picture, other):
        path.write_bytes((SAMPLES / "pizza.png").read_bytes())
    summary(clipon("index", picture, other, "--index", index, "--json"))
    (index / "rows.jsonl").write_text((index / "rows.jsonl").read_text().replace("b.png", "a.png"))
    picture.write_bytes((SAMPLES / "house.png").read_bytes())
    made = summary(clipon("index", picture, "--index", index, "--json"))
    assert (made["rows"], made["added"], made["changed"]) == (1, 0, 2)


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


@pytest.mark.parametrize("kind", ["f16", "int8"])
def test_leftovers_of_a_batch_are_cut_off(clipon: Command, pictures: Path, kind: str) -> None:
    index = clipon.work / "index"
    row_bytes = {"vectors.npy": 192 * 2} if kind == "f16" else {"vectors.npy": 192, "scales.npy": 4}
    files = [*FILES, *(["scales.npy"] if kind == "int8" else [])]

    def update() -> dict[str, object]:
        return summary(clipon("index", pictures, "--index", index, "--type", kind, "--json"))

    def found() -> int:
        answer = summary(clipon("search", "pizza", "--index", index, "--top", 99, "--json"))
        assert answer["rows"] == len(answer["results"])
        return len(answer["results"])

    update()
    good = {name: (index / name).read_bytes() for name in files}
    for name in row_bytes:
        with (index / name).open("ab") as file:
            file.write(b"x" * 1000)
    with (index / "rows.jsonl").open("a") as file:
        file.write('{"path": "/half/a li')
    assert found() == 12
    update()
    assert {name: (index / name).read_bytes() for name in files} == good
    # rows without their vectors are made again, so are all where not even an array's header is whole
    for name, size in row_bytes.items():
        for bytes_left, whole in ((128 + 5 * size + 3, 5), (128, 0), (127, 0), (0, 0)):
            (index / name).write_bytes(good[name][:bytes_left])
            assert found() == whole
            assert update()["added"] == 12 - whole
            assert {name: (index / name).read_bytes() for name in files} == good
    (index / "rows.jsonl").write_text("")
    assert found() == 0
    assert update()["added"] == 12
    # a replacement: not begun in earnest, and half done
    for name in files[1:]:
        (index / f"{name}.new").write_text("nonsense")
    update()
    assert {path.name for path in index.iterdir()} == {*files, "lock"}
    assert {name: (index / name).read_bytes() for name in files} == good
    for half_done in files[1:]:
        (index / half_done).rename(index / f"{half_done}.new")
        (index / half_done).write_text("old\n")
        (index / "replacing").touch()
        refused = clipon("search", "pizza", "--index", index)
        assert refused.returncode == 1 and "interrupted" in refused.stderr
        update()
        assert {name: (index / name).read_bytes() for name in files} == good


def test_mistakes_are_named(clipon: Command, pictures: Path, model32: Path) -> None:
    index = clipon.work / "index"
    done = clipon("search", "pizza", "--index", clipon.work / "none")
    assert done.returncode == 1 and "expected an index, found none" in done.stderr
    clipon("index", pictures, "--index", index)
    for command in (("search", "a"), ("index", pictures)):
        done = clipon("--model", model32, *command, "--index", index)
        assert done.returncode == 2 and "model" in done.stderr, done.stderr
    done = clipon("index", pictures, "--index", index, "--type", "int8")
    assert done.returncode == 2 and "stored as int8, without --exif, found one by" in done.stderr
    for query in ("+ pizza", "pizza +", "pizza + ", "a +  - b", "pizza + + guitar", "pizza - -", "+"):
        done = clipon("search", query, "--index", index)
        assert done.returncode == 2 and f"query '{query}': expected words or a picture before and after" in done.stderr
    done = clipon("search", "pizza - pizza", "--index", index)
    assert done.returncode == 2 and "expected terms that leave something" in done.stderr
    done = clipon("search", "pizza", "--index", index, "--top", -1)
    assert done.returncode == 2 and "--top" in done.stderr and done.stdout == ""
    done = clipon("index", pictures, "--index", index, "--precision", "int8")
    assert done.returncode == 2 and "in int8, stored as f16, without --exif, found one by" in done.stderr
    done = clipon("index", pictures, "--index", index, "--exif")
    assert done.returncode == 2 and "with --exif, found one by" in done.stderr
    head = json.loads((index / "index.json").read_text())
    for change, words in (
        ({"clipon_index": None}, "clipon_index"),
        ({"clipon_index": 2}, "version 1"),
        ({"type": "float64"}, "the type float16 or int8"),
        ({"width": 0}, "a width of 1 to 2^20"),
        ({"width": 2**20 + 1}, "a width of 1 to 2^20"),
        ([], "a JSON object"),
    ):
        (index / "index.json").write_text(json.dumps(change and head | change))
        done = clipon("search", "a", "--index", index)
        assert done.returncode == 1 and f"index.json: index: expected {words}" in done.stderr
    deep = "[" * 450_000 + "]" * 450_000  # more levels than a stack has room for
    (index / "index.json").write_text('{"clipon_index": ' + deep + "}")
    for command in (("search", "a"), ("dedupe",), ("index", pictures)):
        done = clipon(*command, "--index", index)
        assert done.returncode == 1 and "expected clipon_index of the kind" in done.stderr, done.returncode
        assert "found an array" in done.stderr
    (index / "index.json").write_text(json.dumps(head | {"fingerprint": "00000000"}))
    done = clipon("search", "a", "--index", index)
    assert done.returncode == 2 and "expected a query by its own model" in done.stderr and "00000000" in done.stderr
    (index / "index.json").write_text(json.dumps(head))
    (index / "rows.jsonl").write_text("[]\n" * 12)
    done = clipon("search", "a", "--index", index)
    assert done.returncode == 1 and "rows.jsonl: index: expected a JSON object a line" in done.stderr


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
    everything = summary(clipon("dedupe", "--index", index, "--threshold", -1, "--json"))
    assert (everything["rows"], everything["threshold"], len(everything["groups"])) == (14, -1, 1)
    vectors = dict(zip([row["path"] for row in rows(index)], vectors_of(index), strict=True))
    first = vectors[everything["groups"][0][0]["path"]]
    lines = clipon("dedupe", "--index", index, "--threshold", -1).stdout.splitlines()
    for member, line in zip(everything["groups"][0], lines[:-1], strict=True):
        assert member["cosine"] == pytest.approx(vectors[member["path"]] @ first, abs=1e-3)  # float16, 2^-11 of a unit
        assert line == f"{member['cosine']:7.4f}  {member['path']}"
    for option in (("--isa", "mmx"), ("--threshold", "1.5"), ("--threshold", "-1.5"), ("--threshold", "nan")):
        done = clipon("dedupe", "--index", index, *option)
        assert (done.returncode, done.stdout) == (2, "") and option[1] in done.stderr
