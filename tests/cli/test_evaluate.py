"""`clipon evaluate` against the same figures computed here, from each layout of the data; its page and files."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import tarfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from test_commands import one_line

from conftest import SAMPLES, Command

LABELS = (SAMPLES / "labels.txt").read_text().split("\n")[:-1]
PICTURES = sorted(SAMPLES.glob("*.png"))
WRONG = {"tulip.png": "pizza", "alarm-clock.png": "red apple"}  # labelled as something else, so that classes differ


def truth() -> list[str]:
    names = [WRONG.get(path.name, path.stem.replace("-", " ")) for path in PICTURES]
    assert set(names) <= set(LABELS)
    return names


def write_csv(path: Path) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["label", 'kind, of "thing"', "path"])
        for picture, label in zip(PICTURES, truth(), strict=True):
            writer.writerow([label, 'animal "alive"' if "face" in label else "thing, other", picture])
    return path


def cosines(clipon: Command, template: str = "{}") -> np.ndarray:
    texts = clipon.work / "texts.txt"
    texts.write_text("\n".join(template.replace("{}", label) for label in LABELS))
    clipon("similarity", "--images", *PICTURES, "--texts", texts, "-o", clipon.work / "s.npy")
    return np.load(clipon.work / "s.npy")


def evaluate(clipon: Command, *arguments: object) -> dict[str, object]:
    done = clipon("evaluate", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_figures_are_the_definitions(clipon: Command) -> None:
    table = write_csv(clipon.work / "data.csv")
    labels = SAMPLES / "labels.txt"
    found = evaluate(clipon, table, "--labels-file", labels, "--group", 'kind, of "thing"')
    c = cosines(clipon)
    own = np.array([LABELS.index(name) for name in truth()])
    rank = (c > c[np.arange(12), own][:, None]).sum(axis=1)
    right = rank == 0
    assert found["top1"] == right.mean()
    assert found["top5"] == (rank < 5).mean()
    assert found["mean_per_class"] == pytest.approx(np.mean([right[own == k].mean() for k in set(own)]))
    scale = json.loads(clipon("info", "--json").stdout)["model"]["logit_scale"]
    p = np.exp(scale * (c - c.max(axis=1, keepdims=True)))
    confidence = 1 / p.sum(axis=1)
    bins = np.minimum((confidence * 15).astype(int), 14)
    error = sum(abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(15)) / 12
    assert found["calibration_error"] == pytest.approx(error, abs=1e-5)
    assert [b["pictures"] for b in found["calibration"]] == np.bincount(bins, minlength=15).tolist()
    animals = np.array(["face" in name for name in truth()])
    groups = {g["group"]: g for g in found["groups"]}
    assert groups['animal "alive"']["pictures"] == animals.sum()
    assert groups["thing, other"]["top1"] == pytest.approx(right[~animals].mean())
    predicted = [LABELS[i] for i in c.argmax(axis=1)]
    rates = groups["thing, other"]["label_rates"]
    others = [name for name, animal in zip(predicted, animals, strict=True) if not animal]
    assert rates == pytest.approx({name: others.count(name) / len(others) for name in set(others)})
    confused = {(m["label"], m["predicted"]): m["pictures"] for m in found["most_confused"]}
    wrong = [pair for pair in zip(truth(), predicted, strict=True) if pair[0] != pair[1]]
    assert confused == {pair: wrong.count(pair) for pair in wrong}


def test_folders_shards_and_tables_agree(clipon: Command) -> None:
    expected = evaluate(clipon, write_csv(clipon.work / "data.csv"))
    root = clipon.work / "folders"
    shards = [clipon.work / "shard-0.tar", clipon.work / "shard-1.tar"]
    files: list[list[tuple[str, bytes]]] = [[], []]
    for i, (picture, label) in enumerate(zip(PICTURES, truth(), strict=True)):
        folder = root / label.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, folder)
        key = f"{'deep/' * (60 * (i % 3))}{i:04}"  # some names are too long for a plain header
        for extension, content in (("png", picture.read_bytes()), ("cls", f"{LABELS.index(label)}\n".encode())):
            files[i % 2].append((key + "." + extension, content))
    for shard, members, kind in zip(shards, files, (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT), strict=True):
        with tarfile.open(shard, "w", format=kind) as archive:
            for name, content in members:
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    labels = SAMPLES / "labels.txt"
    of_folders = evaluate(clipon, root)
    of_shards = evaluate(clipon, *shards, "--labels-file", labels)
    (clipon.work / "classnames.txt").write_text(labels.read_text())
    assert evaluate(clipon, *shards)["top1"] == of_shards["top1"]
    of_table = evaluate(clipon, clipon.work / "data.csv", "--labels-file", labels)
    for key in ("pictures", "top1", "top5", "mean_per_class", "calibration_error"):
        assert of_folders[key] == pytest.approx(expected[key], abs=1e-6), key  # labels of the pictures alone
        assert of_shards[key] == pytest.approx(of_table[key], abs=1e-6), key  # all labels of the file
    names = sorted({name.replace(" ", "_") for name in truth()})
    mapping = clipon.work / "labels.json"
    mapping.write_text(json.dumps({name: name.replace("_", " ") + " !" for name in names}))
    renamed = evaluate(clipon, root, "--labels-file", mapping)
    assert all(c["label"].endswith(" !") for c in renamed["classes"])


def test_templates_are_compared(clipon: Command) -> None:
    table = write_csv(clipon.work / "data.csv")
    templates = clipon.work / "templates.txt"
    templates.write_text("a picture of {}\nan emoji of {}\n")
    found = evaluate(clipon, table, "--labels-file", SAMPLES / "labels.txt", "--template", "{}", "--templates-file",
                     templates, "--compare-templates")  # fmt: skip
    assert [t["template"] for t in found["compared_templates"]] == ["{}", "a picture of {}", "an emoji of {}", ""]
    own = np.array([LABELS.index(name) for name in truth()])
    for entry in found["compared_templates"][:3]:
        right = cosines(clipon, entry["template"]).argmax(axis=1) == own
        assert entry["top1"] == right.mean()
    assert found["compared_templates"][3]["top1"] == found["top1"]


def test_shift_makes_it_worse_and_is_repeatable(clipon: Command) -> None:
    table = write_csv(clipon.work / "data.csv")
    found = evaluate(clipon, table, "--shift", "all", "--batch", 5)
    assert list(found["shift"]) == ["noise", "blur", "contrast", "jpeg", "pixelate"]
    assert all(len(s) == 5 and all(a["pictures"] == 12 for a in s) for s in found["shift"].values())
    worst = [s[4]["top1"] for s in found["shift"].values()]
    assert np.mean(worst) < found["top1"]
    again = evaluate(clipon, table, "--shift", "noise,jpeg")  # another batch size: the same noise
    assert again["shift"] == {kind: found["shift"][kind] for kind in ("noise", "jpeg")}


class Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_page_and_files(clipon: Command) -> None:
    table = write_csv(clipon.work / "data.csv")
    page, predictions, confusion = (clipon.work / name for name in ("r.html", "p.csv", "c.csv"))
    found = evaluate(clipon, table, "--group", 'kind, of "thing"', "--report", page, "--predictions", predictions,
                     "--confusion", confusion, "--shift", "blur", "--template", "a <b>{}</b>",
                     "--compare-templates")  # fmt: skip
    html = page.read_text()
    balance = Balance()
    balance.feed(html)
    assert balance.open == []
    assert not re.search(r"(src|href)=\"(?!data:)|<script|<b>|@import|url\(", html)
    assert html.count("<svg") == 6 and html.count("<img") >= 2
    with predictions.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["path"] for row in rows] == [str(path) for path in PICTURES]
    assert [row["label"] for row in rows] == truth()
    assert np.mean([row["rank"] == "1" for row in rows]) == found["top1"]
    assert all((row["rank"] == "1") == (row["predicted"] == row["label"]) for row in rows)
    with confusion.open(newline="") as file:
        matrix = list(csv.reader(file))
    counts = np.array([row[1:] for row in matrix[1:]], int)
    assert matrix[0][1:] == [row[0] for row in matrix[1:]]
    assert counts.sum() == 12 and counts.trace() == round(found["top1"] * 12)
    text = clipon("evaluate", table).stdout
    assert "top-1" in text and "calibration error" in text


def test_mistakes_are_named(clipon: Command) -> None:
    work = clipon.work
    write_csv(work / "data.csv")
    (work / "empty").mkdir()
    (work / "short.csv").write_text("path,label\na.png\n")
    (work / "one.txt").write_text("pizza\n")
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        archive.add(PICTURES[0], "0.png")
    (work / "cut.tar").write_bytes(whole.getvalue()[:1600])
    (work / "unlabelled.tar").write_bytes(whole.getvalue())
    (work / "none.tar").write_bytes(b"x" * 2048)
    for arguments, code, words in (
        ((work / "empty",), 2, "a folder for each class"),
        ((work / "missing.csv",), 1, "No such file"),
        ((work / "short.csv",), 2, "record 2: expected 2 fields, found 1"),
        ((work / "data.csv", "--labels-file", work / "one.txt"), 2, "expected a label of the labels file"),
        ((work / "data.csv", "--group", "age"), 2, "expected a column 'age'"),
        ((work / "cut.tar",), 1, "ends before its last entry"),
        ((work / "none.tar",), 1, "expected the header of a tar entry"),
        ((work / "unlabelled.tar",), 2, "expected .cls, .txt or .json"),
        ((work / "data.csv", "--shift", "rain"), 2, "rain"),
    ):
        done = clipon("evaluate", *arguments)
        assert done.returncode == code and words in done.stderr, (arguments, done.stderr)
        assert done.stderr.count("\n") == 1
    with tarfile.open(work / "hollow.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("0.png"))  # a picture of no bytes
        label = tarfile.TarInfo("0.cls")
        label.size = 5
        archive.addfile(label, io.BytesIO(b"pizza"))
    done = clipon("evaluate", work / "hollow.tar", "--json")
    assert done.returncode == 3 and "hollow.tar/0" in done.stderr, done.stderr
    assert json.loads(done.stdout)["failed"] == 1
    broken = work / "classes" / "pizza"
    broken.mkdir(parents=True)
    shutil.copy(SAMPLES / "pizza.png", broken)
    (broken / "bad.png").write_text("no picture")
    done = clipon("evaluate", work / "classes", "--json", "--report", work / "r.html")
    assert done.returncode == 3 and "bad.png" in done.stderr
    assert json.loads(done.stdout)["failed"] == 1 and json.loads(done.stdout)["pictures"] == 1


def test_folders_of_one_name_are_refused(clipon: Command) -> None:
    for name in ("red apple", "red_apple", "house"):
        (clipon.work / "data" / name).mkdir(parents=True)
        shutil.copy(SAMPLES / "house.png", clipon.work / "data" / name)
    for command in (("evaluate",), ("probe", "train", "--c", 1, "-o", clipon.work / "p.gguf")):
        done = clipon(*command, clipon.work / "data")
        assert done.returncode == 2, done.stderr
        one_line(done.stderr, "folders 'red apple' and 'red_apple'", "expected different labels", "data: ")
    labels = clipon.work / "labels.txt"
    labels.write_text("house\nhouse\nred apple\n")  # a list may say so
    assert evaluate(clipon, clipon.work / "data", "--labels-file", labels)["pictures"] == 3
