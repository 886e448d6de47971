"""`clipon evaluate` on .csv tables: their forms, quotes, line ends, groups and length."""

from __future__ import annotations

import csv
import io
import shutil

import pytest
from test_commands import one_line
from test_evaluate import PICTURES, evaluate

from conftest import GOLDEN, SAMPLES, Command


def test_quotes_and_line_ends_of_a_table(clipon: Command) -> None:
    table, predictions = clipon.work / "data.csv", clipon.work / "p.csv"
    labels = ['12" pan', 'a "b" c', "house"]
    for end in ("\n", "\r\n", "\r"):
        lines = ["path,label", *(f"{SAMPLES / 'house.png'},{label}" for label in labels), ""]
        table.write_bytes(end.join(lines).encode())
        assert evaluate(clipon, table, "--predictions", predictions)["pictures"] == 3
        with predictions.open(newline="") as file:
            assert [row["label"] for row in csv.DictReader(file)] == labels
    table.write_text(f'path,label\n{SAMPLES / "house.png"},a\n{SAMPLES / "house.png"},"a\nb,c\n')
    done = clipon("evaluate", table)
    assert done.returncode == 2
    one_line(done.stderr, "data.csv: record 3: expected '\"' at the end")


def test_blanks_around_a_label_make_no_other_label(clipon: Command) -> None:
    table = clipon.work / "data.csv"
    table.write_text(f"path,label\n{SAMPLES / 'house.png'},house\n{SAMPLES / 'pizza.png'}, house \n")
    assert evaluate(clipon, table)["labels"] == 1


def test_one_group_is_shown(clipon: Command) -> None:
    table = clipon.work / "data.csv"
    table.write_text(f"path,label,place\n{SAMPLES / 'house.png'},house,here\n")
    assert [group["group"] for group in evaluate(clipon, table, "--group", "place")["groups"]] == ["here"]
    assert "groups" not in evaluate(clipon, table)


@pytest.mark.parametrize("form", ["plain", "quoted", "of Windows", "marked, with no last line end"])
def test_forms_of_a_table(clipon: Command, form: str) -> None:
    (clipon.work / "b c").mkdir()
    shutil.copy(SAMPLES / "house.png", clipon.work / 'b c/a,"1".png')
    records = [["note", "path", "label"], ["two\nlines", 'b c/a,"1".png', '"a" house'], ["", str(PICTURES[0]), "x"]]
    quoting = csv.QUOTE_ALL if form == "quoted" else csv.QUOTE_MINIMAL
    text = io.StringIO()
    csv.writer(text, quoting=quoting, lineterminator="\r\n" if form == "of Windows" else "\n").writerows(records)
    content = text.getvalue()
    content = (
        content[:-1].encode("utf-8-sig") if form.startswith("marked") else content.replace("x\n", "x\n\n\n").encode()
    )
    table, predictions, confusion = (clipon.work / name for name in ("data.csv", "p.csv", "c.csv"))
    table.write_bytes(content)
    done = clipon(
        "evaluate", table, "--predictions", predictions, "--confusion", confusion, "--group", "note", "--json"
    )
    assert done.returncode == 0, done.stderr
    with predictions.open(newline="") as file:
        rows = [[row["path"], row["label"], row["group"]] for row in csv.DictReader(file)]
    assert rows == [[f'{clipon.work}/b c/a,"1".png', '"a" house', "two\nlines"], [str(PICTURES[0]), "x", ""]]
    with confusion.open(newline="") as file:
        assert next(csv.reader(file)) == ["label", '"a" house', "x"]


def test_pictures_keep_their_labels_past_a_thousand(clipon32: Command) -> None:
    table, predictions = clipon32.work / "data.csv", clipon32.work / "p.csv"
    labels = ["a"] * 1024 + ["b"] * 4
    table.write_text("path,label\n" + "".join(f"{GOLDEN}/pictures/rgb.png,{label}\n" for label in labels))
    assert clipon32("evaluate", table, "--predictions", predictions).returncode == 0
    with predictions.open(newline="") as file:
        found = {(row["label"], row["predicted"], row["cosine"], row["true_cosine"]) for row in csv.DictReader(file)}
    assert sorted(label for label, *_ in found) == ["a", "b"]
    assert all((label == predicted) == (best == own) for label, predicted, best, own in found)
