"""What classify and probe tell of their answers: which rule calibration chose, labels that stand twice, odd names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_commands import one_line

from conftest import SAMPLES, Command

PIZZA = SAMPLES / "pizza.png"


def some_pictures(root: Path) -> Path:
    """Of two labels, and one of neither."""
    for label, name in (("pizza", "pizza"), ("house", "house"), ("other", "tulip")):
        (root / label).mkdir(parents=True)
        shutil.copy(SAMPLES / f"{name}.png", root / label)
    return root


@pytest.mark.parametrize("background", [(), ("--background", "a sound,a symbol")])
def test_the_rule_that_calibration_chose_is_told(clipon: Command, background: tuple[str, ...]) -> None:
    data = some_pictures(clipon.work / "data")
    line = ("classify", data, "--labels", "pizza,house", *background, "--calibrate", data)
    told = json.loads(clipon(*line, "--json").stdout)
    (rule,) = [rule for rule in told["calibration"] if rule["chosen"]]
    assert rule["coverage"] == max(other["coverage"] for other in told["calibration"]) > 0
    shown = [text for text in clipon(*line).stdout.splitlines() if text.startswith("by ")]
    assert [text.endswith("; chosen") for text in shown] == [rule["chosen"] for rule in told["calibration"]]
    if rule["rule"] != "background":  # it alone decides, with a background, too
        for result in told["results"]:
            above = result["predictions"][0][rule["rule"]] >= rule["threshold"] - 1e-6
            assert bool(result["chosen"]) == above


def test_a_threshold_that_accepts_nothing_is_right_about_nothing(clipon: Command) -> None:
    (clipon.work / "data/neither").mkdir(parents=True)
    shutil.copy(PIZZA, clipon.work / "data/neither")
    line = ("classify", PIZZA, "--labels", "pizza,house", "--calibrate", clipon.work / "data")
    warning = "--calibrate: no threshold of any rule makes 95 % of the accepted answers right: every answer is unknown"
    done = clipon(*line, "--json")
    assert done.returncode == 0
    one_line(done.stderr, warning)
    told = json.loads(done.stdout)
    assert [(rule["coverage"], rule["precision"]) for rule in told["calibration"]] == [(0, None)] * 2
    assert told["results"][0]["chosen"] == []
    done = clipon(*line)
    one_line(done.stderr, warning)
    assert len(re.findall(r": right     - %, accepts   0\.0 %;", done.stdout)) == 2


def test_a_probe_has_no_cosines(clipon: Command) -> None:
    data, probe = some_pictures(clipon.work / "data"), clipon.work / "probe.gguf"
    assert clipon("probe", "train", data, "-o", probe, "--c", 1).returncode == 0
    done = clipon("probe", "predict", probe, PIZZA, "--json")
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)["results"]
    assert [list(p) for p in result["predictions"]] == [["label", "index", "probability"]] * 3
    assert result["chosen"] == [result["predictions"][0]["label"]]


def test_labels_that_stand_twice_are_told(clipon: Command) -> None:
    """Two classes of OpenAI's list for ImageNet are "missile": a classifier of it must be to be had."""
    saved, labels = clipon.work / "saved.gguf", clipon.work / "labels.txt"
    labels.write_text("missile\npizza\nhouse\nmissile\npizza\nmissile\n")
    for line in (("--labels", "missile,pizza,house,missile,pizza,missile"), ("--labels-file", labels)):
        done = clipon("classify", PIZZA, *line, "--save", saved, "--json")
        assert done.returncode == 0
        one_line(done.stderr, "labels: 'missile' and 1 more stand there more than once")
        assert len(json.loads(done.stdout)["results"][0]["predictions"]) == 3
    done = clipon("classify", PIZZA, "--labels", "house,pizza,house")
    one_line(done.stderr, "labels: 'house' stands there more than once")
    assert clipon("classify", PIZZA, "--labels", "house,pizza,House").stderr == ""
    table = clipon.work / "data.csv"
    table.write_text(f"path,label\n{PIZZA},pizza\n")
    done = clipon("evaluate", table, "--labels-file", labels)
    assert (done.returncode, done.stderr) == (0, "")


def test_paths_that_are_not_utf8_have_their_bytes_in_json(clipon: Command) -> None:
    name = os.fsencode(clipon.work) + b"/caf\xe9.png"
    shutil.copy(PIZZA, os.fsdecode(name))
    data, probe, index = some_pictures(clipon.work / "data"), clipon.work / "probe.gguf", clipon.work / "index"
    assert clipon("probe", "train", data, "-o", probe, "--c", 1).returncode == 0
    assert clipon("index", os.fsdecode(name), PIZZA, "--index", index).returncode == 0

    def output(*line: object) -> dict[str, object]:
        words = [os.fsencode(str(word)) for word in (clipon.program, *line, "--json")]
        return json.loads(subprocess.run(words, capture_output=True, check=True, timeout=60).stdout)

    pictures = (os.fsdecode(name), PIZZA)
    output("embed", "--images", *pictures, "-o", clipon.work / "e.npy")
    embedded = [json.loads(line) for line in (clipon.work / "e.paths.jsonl").read_text().splitlines()]
    for results in (
        output("classify", *pictures, "--labels", "a,b")["results"],
        output("probe", "predict", probe, *pictures)["results"],
        output("search", "pizza", "--index", index)["results"],
        output("dedupe", "--index", index)["groups"][0],
        embedded,
    ):
        odd, plain = sorted(results, key=lambda row: row["path"] == str(PIZZA))
        assert odd["path"] == str(clipon.work / "caf\ufffd.png") and bytes(odd["path_bytes"]) == name
        assert "path_bytes" not in plain


def test_columns_are_as_wide_as_their_texts_have_characters(clipon: Command) -> None:
    for folder in ("a", "größer"):
        (clipon.work / folder).mkdir()
        shutil.copy(PIZZA, clipon.work / folder)
    labels, texts = ("größe", "pizza", "ein Schloß"), clipon.work / "texts.txt"
    texts.write_text("\n".join(labels))
    pictures = ("a/pizza.png", "größer/pizza.png")
    options = ("--background", "an emoji", "--top", 0)
    done = clipon("classify", *pictures, "--labels", ",".join(labels), *options, cwd=clipon.work)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    places = [[i for i, character in enumerate(line) if character == "%"] for line in lines]
    assert places[0] == places[1] and len(places[0]) == 3
    assert all(line == line.rstrip() for line in lines)
    done = clipon("similarity", "--images", *pictures, "--texts", texts, cwd=clipon.work)
    *_, head, first, second = done.stdout.splitlines()
    assert len(head) == len(first) == len(second)


def test_more_shots_than_pictures_are_told(clipon: Command) -> None:
    for label, count in (("pizza", 3), ("house", 5)):
        (clipon.work / "data" / label).mkdir(parents=True)
        for i in range(count):
            shutil.copy(SAMPLES / f"{label}.png", clipon.work / "data" / label / f"{i}.png")
    line = ("probe", "curve", clipon.work / "data", "--test", clipon.work / "data", "--repeats", 2, "--shots")
    shown = clipon(*line, "3,4,100").stdout.splitlines()
    assert [text.split()[0] for text in shown[2:5]] == ["3", "4", "100"]
    assert shown[5:] == [
        "4 shots: 7 pictures, as 1 of 2 classes has fewer than 4",
        "100 shots: 8 pictures, as 2 of 2 classes have fewer than 100",
    ]
    runs = json.loads(clipon(*line, "3,100", "--json").stdout)["runs"]
    assert [(run["shots"], len(run["train"])) for run in runs] == [(3, 6), (3, 6), (100, 8), (100, 8)]
