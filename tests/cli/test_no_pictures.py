"""`clipon evaluate` where pictures are missing: none at all, none of a class or group, and how many a second."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import SAMPLES, Command


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_nothing_that_can_be_read_is_no_accuracy_of_zero(clipon: Command, form: tuple[str, ...]) -> None:
    table, outputs = clipon.work / "data.csv", [clipon.work / name for name in ("r.html", "p.csv", "c.csv")]
    table.write_text("path,label\na.png,pizza\nb.png,house\n")
    options = ("--report", outputs[0], "--predictions", outputs[1], "--confusion", outputs[2])
    done = clipon("evaluate", table, *options, *form)
    assert (done.returncode, done.stdout) == (2, "")
    *failures, last = done.stderr.splitlines()
    assert last == f"clipon: {table}: expected pictures, found none of 2 that could be read"
    assert [f"{name}.png: picture: No such file" in line for name, line in zip("ab", failures, strict=True)] == [
        True
    ] * 2
    assert not any(path.exists() for path in outputs)


def test_shares_of_no_pictures_are_null(clipon: Command) -> None:
    table, labels, page = clipon.work / "data.csv", clipon.work / "labels.txt", clipon.work / "r.html"
    labels.write_text("pizza\nhouse\nguitar\n")
    table.write_text(f"path,label,kind\n{SAMPLES}/house.png,house,here\nnone.png,pizza,there\n")
    line = ("evaluate", table, "--labels-file", labels, "--group", "kind", "--report", page)
    done = clipon(*line, "--json")
    assert done.returncode == 3
    found = json.loads(done.stdout)
    assert found["mean_per_class"] == found["top1"] == 1
    for name, key, wanted in (("classes", "label", "house"), ("groups", "group", "here")):
        for entry in found[name]:
            shares = [1, 1] if entry[key] == wanted else [None, None]
            assert [entry["top1"], entry["top5"]] == shares and entry["pictures"] == (entry[key] == wanted)
    for entry in found["calibration"]:
        assert (entry["confidence"] is None) == (entry["accuracy"] is None) == (entry["pictures"] == 0)
    (here,) = [text for text in clipon(*line).stdout.splitlines() if text.split()[:1] == ["here"]]
    (there,) = [text for text in clipon(*line).stdout.splitlines() if text.split()[:1] == ["there"]]
    assert "top-1 100.00 %  top-5 100.00 %" in here
    assert there.endswith("top-1      - %  top-5      - %") and there.index("%") == here.index("%")
    assert '<td>there</td><td class="n">0</td><td class="n">-</td><td class="n">-</td>' in page.read_text()
    assert "nan" not in page.read_text()


def test_pictures_that_fail_make_no_second_faster(clipon: Command) -> None:
    def rate(folder: Path) -> float:
        return json.loads(clipon("evaluate", folder, "--json").stdout)["pictures_per_second"]

    data = clipon.work / "data"
    (data / "house").mkdir(parents=True)
    for i in range(20):
        shutil.copy(SAMPLES / "house.png", data / "house" / f"{i}.png")
    alone = rate(data)
    for i in range(4000):
        (data / "house" / f"bad{i}.png").write_text("no picture")
    assert rate(data) < 3 * alone  # 200 times as many are named
