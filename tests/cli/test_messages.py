"""What messages say: where to look for help, what was mistyped, that a file was written, one picture or several."""

from __future__ import annotations

import json
import shutil

import pytest
from test_commands import one_line

from conftest import SAMPLES, Command

PIZZA = SAMPLES / "pizza.png"


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        (("evaluate", "none"), 1, "clipon: none: data: No such file or directory\n"),
        (("probe", "train", "none", "-o", "x"), 1, "clipon: none: data: No such file or directory\n"),
        (("classify", PIZZA, "--labels", "a", "--templates", "Plain"), 2, "found 'Plain'"),
        (
            ("evaluate", "{data}", "--templates", "a photo of {}"),
            2,
            "found 'a photo of {}' (--template takes one itself)",
        ),
        (("index", PIZZA, "--index", ""), 2, "--index: expected a folder's name, found nothing"),
        (("search", "a", "--index", ""), 2, "--index: expected a folder's name, found nothing"),
        (("dedupe", "--index", ""), 2, "--index: expected a folder's name, found nothing"),
        (("index", PIZZA, "--index", "/dev/null"), 2, "/dev/null: index: expected a folder, found something else"),
        (("index", PIZZA, "--index", PIZZA), 2, "pizza.png: index: expected a folder, found something else"),
    ],
)
def test_mistakes(clipon: Command, line: tuple[object, ...], code: int, words: str) -> None:
    (clipon.work / "data.csv").write_text(f"path,label\n{PIZZA},pizza\n")
    done = clipon(*(clipon.work / "data.csv" if word == "{data}" else word for word in line), cwd=clipon.work)
    assert (done.returncode, done.stdout) == (code, "")
    one_line(done.stderr, words)


@pytest.mark.parametrize(
    ("labels", "place"), [(",", 0), (",a", 0), ("a,,b", 1), ("a, ,b", 1), ("a,b,", 2), ("a,b, ", 2)]
)
def test_a_label_of_nothing_is_refused_with_blanks_or_without(clipon: Command, labels: str, place: int) -> None:
    done = clipon("classify", PIZZA, "--labels", labels)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, f"labels[{place}]: expected words, found an empty label")
    done = clipon("classify", PIZZA, "--labels", "a,b", "--background", labels)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, f"background[{place}]: expected words, found an empty text")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("--threads", "2000", "info"), "found 2000 (clipon --help lists what there is)\n"),
        (("info", "--threads", "2000"), "found 2000 (clipon --help lists what there is)\n"),
        (("bench", "--threads", "2000"), "found 2000 (clipon bench --help lists what there is)\n"),
        (("classify", "--top", "-1"), "found -1 (clipon classify --help lists what there is)\n"),
        (("probe", "predict", "--top", "-1"), "found -1 (clipon probe predict --help lists what there is)\n"),
        (("probe", "train", "--precision", "f64"), " (clipon --help lists what there is)\n"),
    ],
)
def test_help_is_where_the_option_is(clipon: Command, line: tuple[object, ...], words: str) -> None:
    done = clipon(*line)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, words)


def test_every_help_says_where_the_global_options_are(clipon: Command) -> None:
    for command in (("classify",), ("probe",), ("probe", "train"), ("probe", "predict"), ("probe", "curve")):
        assert "(--model, --precision, --threads, ...): clipon --help" in clipon(*command, "--help").stdout, command


def test_json_in_any_case(clipon: Command) -> None:
    labels = clipon.work / "l.JSON"
    labels.write_text(json.dumps(["pizza", "house"]))
    done = clipon("classify", PIZZA, "--labels-file", labels, "--json")
    assert json.loads(done.stdout)["labels"] == ["pizza", "house"]
    assert clipon("tokenize", "--texts", labels).stdout.count("\n") == 2
    for name in ("pizza", "house"):
        (clipon.work / "data" / name).mkdir(parents=True)
        shutil.copy(SAMPLES / f"{name}.png", clipon.work / "data" / name)
    labels.write_text(json.dumps({"pizza": "a pizza", "house": "a house"}))
    done = clipon("evaluate", clipon.work / "data", "--labels-file", labels, "--json")
    assert done.returncode == 0, done.stderr
    assert [c["label"] for c in json.loads(done.stdout)["classes"]] == ["a house", "a pizza"]


def test_files_that_are_written_are_told(clipon: Command) -> None:
    index, texts = clipon.work / "index", clipon.work / "texts.txt"
    texts.write_text("pizza\nhouse\n")
    assert clipon("index", PIZZA, SAMPLES / "house.png", "--index", index).returncode == 0
    for top, count in ((1, "1 picture"), (2, "2 pictures")):
        done = clipon("search", "pizza", "--index", index, "--top", top, "--html", clipon.work / "s.html")
        assert done.stdout == f"{clipon.work}/s.html: {count}\n"
    done = clipon("similarity", "--images", PIZZA, "--texts", texts, "-o", clipon.work / "s.npy")
    assert done.stdout == f"{clipon.work}/s.npy: 1 x 2 float32\n"


def test_one_picture_is_no_pictures(clipon: Command) -> None:
    table, data = clipon.work / "data.csv", clipon.work / "data"
    table.write_text(f"path,label\n{PIZZA},pizza\n")
    shown = clipon("evaluate", table, "--compare-templates").stdout
    assert ": 1 picture, 1 label, 1 template;" in shown
    (data / "pizza").mkdir(parents=True)
    shutil.copy(PIZZA, data / "pizza")
    assert clipon("probe", "curve", data, "--test", data, "--shots", 1).stdout.startswith("1 test picture, ")
    assert clipon("index", PIZZA, "--index", clipon.work / "i").stdout.startswith(f"{clipon.work}/i: 1 row; ")
    shown = clipon("probe", "train", data, "-o", clipon.work / "p.gguf", "--c", 1).stdout
    assert ": 1 class, " in shown
