"""The page of `clipon evaluate --report`: its figures are those of --json and --confusion of the same run."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass, field
from html.parser import HTMLParser

import numpy as np
import pytest
from test_evaluate import LABELS, PICTURES

from conftest import Command

CELL, NAMES = 18, 170  # of the matrix: a cell's side, where the first one begins
LONGEST = 400  # a bar of 100 %


@dataclass
class Drawing:
    texts: list[dict[str, str]] = field(default_factory=list)  # attributes and "words"
    rects: list[dict[str, str]] = field(default_factory=list)  # attributes and "title"


class Page(HTMLParser):
    """What stands under each heading: drawings, rows of tables, notes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.heading, self.tag = "", ""
        self.drawings: dict[str, list[Drawing]] = {}
        self.rows: dict[str, list[list[str]]] = {}
        self.notes: dict[str, list[str]] = {}
        self.pairs: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tag = tag
        values = {name: value or "" for name, value in attrs}
        if tag == "h2":
            self.heading = ""
        elif tag == "svg":
            self.drawings.setdefault(self.heading, []).append(Drawing())
        elif tag == "rect":
            self.drawings[self.heading][-1].rects.append(values | {"title": ""})
        elif tag == "text":
            self.drawings[self.heading][-1].texts.append(values | {"words": ""})
        elif tag == "tr":
            self.rows.setdefault(self.heading, []).append([])
        elif tag in ("td", "th"):
            self.rows[self.heading][-1].append("")
        elif tag == "p":
            self.notes.setdefault(self.heading, []).append("")
        elif tag == "h3":
            self.pairs.append("")

    def handle_endtag(self, tag: str) -> None:
        self.tag = ""

    def handle_data(self, data: str) -> None:
        if self.tag == "h2":
            self.heading += data
        elif self.tag == "title" and self.drawings:
            self.drawings[self.heading][-1].rects[-1]["title"] += data
        elif self.tag == "text":
            self.drawings[self.heading][-1].texts[-1]["words"] += data
        elif self.tag in ("td", "th"):
            self.rows[self.heading][-1][-1] += data
        elif self.tag == "p":
            self.notes[self.heading][-1] += data
        elif self.tag == "h3":
            self.pairs[-1] += data


@dataclass
class Run:
    labels: list[str]
    told: dict[str, object]
    confusion: np.ndarray
    page: Page


def run(clipon: Command, count: int, present: int) -> Run:
    """`count` labels, of which `present` have pictures: the samples over and over, so that most labels are wrong."""
    made_up = [f"thing {i} of no picture" for i in range(count - len(LABELS) - 2)]
    labels = ["R&B <b>\"loud\"</b> 'n' as good as the last of the long names", "größer", *LABELS, *made_up]
    assert len(set(labels)) == len(labels) == count
    own = {path.stem.replace("-", " "): path for path in PICTURES}
    table, listed = clipon.work / "data.csv", clipon.work / "labels.txt"
    listed.write_text("\n".join(labels))
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "part"])
        for i, label in enumerate(labels[:present]):
            others = [PICTURES[(5 * i + k) % len(PICTURES)] for k in range(1 + i % 5)]
            for k, path in enumerate([own[label], *others[1:]] if label in own else others):
                writer.writerow([path, label, "the & first" if k == 0 else "later"])
    page, matrix = clipon.work / "r.html", clipon.work / "c.csv"
    done = clipon(
        "evaluate", table, "--labels-file", listed, "--group", "part", "--report", page, "--confusion", matrix, "--json"
    )
    assert done.returncode == 0, done.stderr
    with matrix.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0][1:] == labels == [row[0] for row in rows[1:]]
    return Run(labels, json.loads(done.stdout), np.array([row[1:] for row in rows[1:]], int), Page(page.read_text()))


def percent(share: float, digits: int) -> str:
    return f"{100 * share:.{digits}f}"


def bars(drawing: Drawing) -> list[tuple[str, str]]:
    """Name and value of each; the bars are as long as the values say."""
    names, values = drawing.texts[::2], drawing.texts[1::2]
    for rect, value in zip(drawing.rects, values, strict=True):
        # a tenth of a pixel is shown, and a tenth of a percent: half of each
        shown = LONGEST * float(value["words"].removesuffix(" %")) / 100
        assert abs(float(rect["width"]) - shown) <= 0.05 + LONGEST * 0.05 / 100 + 1e-9
        assert float(rect["y"]) + 12 == float(value["y"])
    assert [float(name["y"]) for name in names] == [float(value["y"]) for value in values]
    assert [float(name["y"]) for name in names] == sorted(float(name["y"]) for name in names)
    return [(name["words"], value["words"].removesuffix(" %")) for name, value in zip(names, values, strict=True)]


def shortened(label: str, most: int) -> str:
    """In bytes of UTF-8."""
    content = label.encode()
    return label if len(content) <= most else content[: most - 1].decode(errors="ignore") + "…"


def test_the_matrix_is_the_file_of_confusion(clipon: Command) -> None:
    found = run(clipon, 40, 38)  # as many labels as a matrix may have
    assert not np.array_equal(found.confusion, found.confusion.T)
    (drawing,) = found.page.drawings["Confusion matrix"]
    *cells, frame = drawing.rects
    assert float(frame["width"]) == float(frame["height"]) == CELL * 40
    counts = np.zeros_like(found.confusion)
    for cell in cells:
        place = (float(cell["y"]) - NAMES) / CELL, (float(cell["x"]) - NAMES) / CELL
        row, column = map(round, place)
        assert place == (row, column)  # true labels down
        names, _, count = cell["title"].rpartition(": ")
        assert names == f"{found.labels[row]} as {found.labels[column]}"
        counts[row, column] += int(count)
        share = int(count) / found.confusion[row].sum()
        colour = "--bar" if row == column else "--bad"
        assert cell["style"] == f"fill:var({colour});opacity:{0.15 + 0.85 * share:.2f}"
    assert np.array_equal(counts, found.confusion)
    assert len(cells) == np.count_nonzero(found.confusion)
    for anchor in ("end", "start"):  # of rows, of columns
        words = [text["words"] for text in drawing.texts if text["text-anchor"] == anchor]
        assert words == [shortened(label, 24) for label in found.labels]


@pytest.mark.parametrize(("count", "present"), [(40, 38), (41, 25), (45, 26)])
def test_figures_and_worst_classes(clipon: Command, count: int, present: int) -> None:
    found = run(clipon, count, present)
    told, page = found.told, found.page
    summary = dict(page.rows[""])
    assert len({told["top1"], told["top5"], told["mean_per_class"]}) == 3
    for name, key in (("Top-1", "top1"), ("Top-5", "top5"), ("Mean per-class", "mean_per_class")):
        assert summary[f"{name} accuracy"] == percent(told[key], 2) + "\u00a0%"
    assert summary["Calibration error (15 bins)"] == f"{told['calibration_error']:.4f}"
    assert summary["Pictures, failed"] == f"{told['pictures']}, 0"
    assert summary["Labels"] == str(told["labels"]) == str(count)
    assert summary["Templates"] == "{}"
    assert summary["Pictures a second"] == f"{told['pictures_per_second']:.1f}"
    assert summary["Model"] == told["model"]
    assert summary["Computed in"] == f"{told['precision']} on {told['isa']}"

    classes = [entry for entry in told["classes"] if entry["pictures"]]
    assert len(classes) == present and len({entry["top1"] for entry in classes}) > 3
    classes.sort(key=lambda entry: entry["top1"])  # stable: of equal ones the first label comes first
    *spread, worst = page.drawings["Accuracy by class"]
    notes = page.notes["Accuracy by class"]
    shown = [(shortened(entry["label"], 40), percent(entry["top1"], 1)) for entry in classes[:25]]
    assert bars(worst) == shown
    assert [float(value) for _, value in shown] == sorted(float(value) for _, value in shown)
    if present > 25:
        assert notes[1] == f"The 25 worst of {present} classes: top-1."
        tenths = [min(math.floor(10 * entry["top1"]), 9) for entry in classes]
        wanted = [percent(tenths.count(i) / present, 1) for i in range(10)]
        (drawing,) = spread
        assert bars(drawing) == [(f"{10 * i} to {10 * i + 10} %", share) for i, share in enumerate(wanted)]
    else:
        assert notes == [f"All {present} classes, the worst first: top-1."] and spread == []
    assert ("Confusion matrix" in page.drawings) == (count <= 40)

    pairs = [
        f"{p['label']} → {p['predicted']}: {p['pictures']} of {found.confusion[found.labels.index(p['label'])].sum()}"
        for p in told["most_confused"][:12]
    ]
    assert page.pairs == pairs
    head, *groups = page.rows["By group"]
    assert head[:4] == ["Group", "Pictures", "Top-1", "Top-5"]
    for row, entry in zip(groups, told["groups"], strict=True):
        shares = [percent(entry[key], 2) + "\u00a0%" for key in ("top1", "top5")]
        assert row[:4] == [entry["group"], str(entry["pictures"]), *shares]
        most = list(entry["label_rates"].items())[:5]
        assert row[4] == ", ".join(f"{label} {percent(share, 2)}\u00a0%" for label, share in most)
    assert bars(page.drawings["By group"][0]) == [(g["group"], percent(g["top1"], 1)) for g in told["groups"]]
