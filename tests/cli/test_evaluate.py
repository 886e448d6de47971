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
    files = {option: clipon.work / f"{option}.csv" for option in ("--predictions", "--confusion")}
    found = evaluate(clipon, table, "--labels-file", labels, "--group", 'kind, of "thing"',
                     *(part for pair in files.items() for part in pair))  # fmt: skip
    assert found["data"] == str(table)
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
    for b, part in enumerate(found["calibration"]):
        chosen = bins == b
        if not chosen.any():
            assert part["confidence"] is part["accuracy"] is None
            continue
        assert part["confidence"] == pytest.approx(confidence[chosen].mean(), abs=1e-5)
        assert part["accuracy"] == pytest.approx(right[chosen].mean())
    for i, entry in enumerate(found["classes"]):
        assert (entry["label"], entry["pictures"]) == (LABELS[i], (own == i).sum())
        if not (own == i).any():
            assert entry["top1"] is entry["top5"] is None
            continue
        assert entry["top1"] == pytest.approx(right[own == i].mean())
        assert entry["top5"] == pytest.approx((rank < 5)[own == i].mean())
    with files["--predictions"].open(newline="") as file:
        for i, row in enumerate(csv.DictReader(file)):
            assert row["group"] == ('animal "alive"' if "face" in truth()[i] else "thing, other")
            assert (row["predicted"], row["rank"]) == (LABELS[c[i].argmax()], str(rank[i] + 1))
            numbers = [float(row[key]) for key in ("confidence", "cosine", "true_cosine")]
            assert numbers == pytest.approx([confidence[i], c[i].max(), c[i, own[i]]], abs=1e-5)
    with files["--confusion"].open(newline="") as file:
        cells = np.array([row[1:] for row in list(csv.reader(file))[1:]], int)
    wanted = np.zeros((len(LABELS), len(LABELS)), int)
    np.add.at(wanted, (own, c.argmax(axis=1)), 1)
    assert np.array_equal(cells, wanted) and not np.array_equal(cells, cells.T)
    order = (-c).argsort(axis=1)
    lines = [f"{path},{LABELS[order[i, 4 + i % 2]]}\n" for i, path in enumerate(PICTURES)]  # the fifth, the sixth
    table.write_text("path,label\n" + "".join(lines))
    assert evaluate(clipon, table, "--labels-file", labels)["top5"] == 0.5
    animals = np.array(["face" in name for name in truth()])
    groups = {g["group"]: g for g in found["groups"]}
    assert groups['animal "alive"']["pictures"] == animals.sum()
    assert groups["thing, other"]["top1"] == pytest.approx(right[~animals].mean())
    predicted = [LABELS[i] for i in c.argmax(axis=1)]
    rates = groups["thing, other"]["label_rates"]
    others = [name for name, animal in zip(predicted, animals, strict=True) if not animal]
    assert rates == pytest.approx({name: others.count(name) / len(others) for name in set(others)})
    assert list(rates.values()) == sorted(rates.values(), reverse=True)
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
    (clipon.work / "listed.txt").write_text("\n".join(name.replace("_", " ") for name in names))
    assert evaluate(clipon, root, "--labels-file", clipon.work / "listed.txt")["classes"] == of_folders["classes"]
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
    assert found["templates"] == ["{}", "a picture of {}", "an emoji of {}"]
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
    everything = evaluate(clipon, table, "--shift", "jpeg,all")
    assert everything["shift"] == found["shift"]
    worst = [s[4]["top1"] for s in found["shift"].values()]
    assert np.mean(worst) < found["top1"]
    again = evaluate(clipon, table, "--shift", "noise,jpeg,noise")  # another batch size: the same noise
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


def test_a_picture_that_fails_counts_nowhere(clipon: Command) -> None:
    table, predictions = clipon.work / "data.csv", clipon.work / "p.csv"
    (clipon.work / "bad.png").write_text("no picture")
    table.write_text(f"path,label,kind\n{SAMPLES}/house.png,house,a\nbad.png,pizza,b\n{SAMPLES}/pizza.png,house,a\n")
    (clipon.work / "labels.txt").write_text("pizza\nhouse\nguitar\n")
    done = clipon(
        "evaluate", table, "--labels-file", clipon.work / "labels.txt", "--shift", "contrast", "--compare-templates",
        "--group", "kind", "--predictions", predictions, "--batch", 1, "--json",
    )  # fmt: skip
    assert done.returncode == 3
    one_line(done.stderr, f"{clipon.work}/bad.png: picture: expected JPEG")
    found = json.loads(done.stdout)
    scores = [found, *found["compared_templates"], *found["shift"]["contrast"]]
    assert [(s["pictures"], s["top1"]) for s in scores[:-1]] == [(2, 0.5)] * (len(scores) - 1)
    assert (found["failed"], found["mean_per_class"]) == (1, 0.5)
    assert [(g["group"], g["pictures"]) for g in found["groups"]] == [("a", 2), ("b", 0)]
    assert sum(part["pictures"] for part in found["calibration"]) == 2
    with predictions.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[2] == [f"{clipon.work}/bad.png", "pizza", "b", "", "", "", "", ""]


def test_a_page_with_a_picture_that_failed(clipon: Command) -> None:
    table, page = clipon.work / "data.csv", clipon.work / "r.html"
    (clipon.work / "bad.png").write_text("no picture")
    table.write_text(f"path,label\n{SAMPLES}/house.png,house\nbad.png,pizza\n{SAMPLES}/pizza.png,house\n")
    assert clipon("evaluate", table, "--report", page).returncode == 3
    assert "<td>2, 1</td>" in page.read_text() and page.read_text().count("<img") == 1  # of pizza as house


def test_what_is_confused_most_comes_first(clipon: Command) -> None:
    table, labels, predictions = (clipon.work / name for name in ("data.csv", "labels.txt", "p.csv"))
    names = [path.stem.replace("-", " ") for path in PICTURES]
    labels.write_text("\n".join([*names, "zebra"]))

    def confused(pictures: list[Path]) -> tuple[list[str], list[dict[str, str]]]:
        table.write_text("path,label\n" + "".join(f"{path},zebra\n" for path in pictures))
        found = evaluate(clipon, table, "--labels-file", labels, "--predictions", predictions)
        with predictions.open(newline="") as file:
            return [pair["predicted"] for pair in found["most_confused"]], list(csv.DictReader(file))

    own = {path.stem.replace("-", " "): path for path in PICTURES}
    _, rows = confused(PICTURES)
    rows = [row for row in rows if own[row["predicted"]] == Path(row["path"])]
    rows.sort(key=lambda row: -float(row["confidence"]))
    pictures, order = [Path(row["path"]) for row in rows], [row["predicted"] for row in rows]
    assert len(order) > 5 and confused(sorted(pictures))[0] == order
    assert confused([*pictures, pictures[-1]])[0] == [order[-1], *order[:-1]]


def test_mistakes_are_named(clipon: Command) -> None:
    work = clipon.work
    write_csv(work / "data.csv")
    (work / "empty").mkdir()
    (work / "short.csv").write_text("path,label\na.png\n")
    (work / "one.txt").write_text("pizza\n")
    (work / "long.csv").write_text("path,label\na.png,b\na.png,b,c\n")
    (work / "nothing.csv").write_text("")
    (work / "head.csv").write_text("path,label\n")
    (work / "three.txt").write_text("a\nb\nc\n")
    (work / "one.json").write_text('{"x": "a"}')
    (work / "number.json").write_text('{"x": 1, "y": "b"}')
    (work / "hollow/x").mkdir(parents=True)
    for name in ("x", "y"):
        (work / "two" / name).mkdir(parents=True)
        shutil.copy(SAMPLES / "house.png", work / "two" / name)
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
        ((work / "long.csv",), 2, "record 3: expected 2 fields, found 3"),
        ((work / "nothing.csv",), 2, "expected a line of column names, found nothing"),
        ((work / "head.csv",), 2, "expected labelled pictures, found none"),
        ((work / "data.csv", "--labels-file", work / "nothing.csv"), 2, "nothing.csv: expected labels, found none"),
        ((work / "data.csv", work / "short.csv"), 2, "expected one folder, one .csv, or .tar files"),
        ((work / "two", "--group", "age"), 2, "--group: expected a .csv or .tar files"),
        ((work / "two", "--labels-file", work / "one.txt"), 2, "a label for each of 2 folders, found 1"),
        ((work / "two", "--labels-file", work / "three.txt"), 2, "a label for each of 2 folders, found 3"),
        (
            (work / "two", "--labels-file", work / "one.json"),
            2,
            "one.json: expected a label for the folder 'y', found none",
        ),
        ((work / "two", "--labels-file", work / "number.json"), 2, "expected a label for the folder 'x', found none"),
        ((work / "hollow",), 2, "x: expected .jpg, .jpeg, .png or .bmp files in this folder, found none"),
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
    assert (done.returncode, done.stdout) == (2, "")
    named, last = done.stderr.splitlines()
    assert named.startswith(f"clipon: {work}/hollow.tar/0: picture") and named.count("hollow.tar") == 1
    assert last == f"clipon: {work}/hollow.tar: expected pictures, found none of 1 that could be read"
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
    (clipon.work / "data/notes.txt").write_text("no folder, so no class")
    found = evaluate(clipon, clipon.work / "data", "--labels-file", labels)
    assert [c["pictures"] for c in found["classes"]] == [1, 1, 1]
    assert [c["top1"] for c in found["classes"][:2]] == [1, 0]  # of equal cosines the first label's is the best
