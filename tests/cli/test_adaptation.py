"""classify beyond the best label, and probe: as docs/cli.md describes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from test_commands import one_line

from conftest import SAMPLES, Command

PIZZA = SAMPLES / "pizza.png"


def chosen(clipon: Command, *arguments: object) -> list[list[str]]:
    done = clipon("classify", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [result["chosen"] for result in json.loads(done.stdout)["results"]]


def test_unknown_by_each_rule(clipon: Command) -> None:
    labels = ("--labels", "pizza,guitar,house")
    done = clipon("classify", PIZZA, *labels, "--json")
    best = json.loads(done.stdout)["results"][0]["predictions"][0]
    assert best["label"] == "pizza"
    assert best["margin"] > 0.05
    assert chosen(clipon, PIZZA, *labels) == [["pizza"]]
    assert chosen(clipon, PIZZA, *labels, "--min-cosine", best["cosine"] + 0.01) == [[]]
    assert chosen(clipon, PIZZA, *labels, "--min-margin", best["margin"] + 0.01) == [[]]
    assert chosen(clipon, PIZZA, "--labels", "guitar,house", "--background", "pizza,something") == [[]]
    assert chosen(clipon, PIZZA, *labels, "--background", "a symbol") == [["pizza"]]
    assert chosen(clipon, PIZZA, *labels, "--background", "a symbol", "--min-background", 1) == [[]]
    table = clipon("classify", PIZZA, *labels, "--min-cosine", "0.99").stdout
    assert table.split()[1] == "unknown"


def test_several_labels_and_temperature(clipon: Command) -> None:
    labels = ("--labels", "pizza,food,guitar")
    found = chosen(clipon, PIZZA, *labels, "--multi-label", "--background", "a picture,something", "--top", 1)
    assert "pizza" in found[0]
    assert "guitar" not in found[0]
    assert chosen(clipon, PIZZA, *labels, "--multi-label", "--threshold", 1.1) == [[]]
    soft = json.loads(clipon("classify", PIZZA, *labels, "--temperature", 10, "--json").stdout)
    assert soft["results"][0]["predictions"][0]["probability"] < 0.9


def test_templates_and_synonyms_from_files(clipon: Command) -> None:
    templates = clipon.work / "templates.txt"
    templates.write_text("{}\nan emoji of {}\n")
    labels = clipon.work / "labels.txt"
    labels.write_text("Gericht\tpizza\nInstrument\tguitar\n")
    as_json = clipon.work / "labels.json"
    as_json.write_text(json.dumps({"Gericht": ["pizza"], "Instrument": ["guitar"]}))
    for file in (labels, as_json):
        assert chosen(clipon, PIZZA, "--labels-file", file, "--templates", templates) == [["Gericht"]]
    for name in ("none", "plain", "ensemble"):
        assert chosen(clipon, PIZZA, "--labels", "pizza,guitar", "--templates", name) == [["pizza"]]
    templates.write_text("no place\n")
    done = clipon("classify", PIZZA, "--labels", "a,b", "--templates", templates)
    assert done.returncode == 2
    one_line(done.stderr, "no place", "expected {}")
    as_json.write_text('{"a": 3}')
    done = clipon("classify", PIZZA, "--labels-file", as_json)
    assert done.returncode == 2
    one_line(done.stderr, "labels.json", "synonyms")


def folders(root: Path) -> Path:
    """Three classes of two samples each."""
    for label, names in {
        "food": ("pizza", "red-apple"),
        "animal": ("cat-face", "dog-face"),
        "vehicle": ("automobile", "bicycle"),
    }.items():
        (root / label).mkdir(parents=True)
        for name in names:
            shutil.copy(SAMPLES / f"{name}.png", root / label)
    return root


def test_calibrate_save_and_load(clipon: Command) -> None:
    data = folders(clipon.work / "data")
    saved = clipon.work / "saved.gguf"
    done = clipon(
        "classify", "--labels", "food,animal", "--background", "a car", "--calibrate", data,
        "--target-precision", "0.75", "--save", saved, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rules = {rule["rule"]: rule for rule in json.loads(done.stdout)["calibration"]}
    assert set(rules) == {"cosine", "margin", "background"}
    assert all(rule["precision"] >= 0.75 for rule in rules.values())
    assert all(0 <= rule["auroc_known"] <= 1 for rule in rules.values())
    again = json.loads(clipon("classify", data / "food", "--classifier", saved, "--json").stdout)
    assert again["labels"] == ["food", "animal"]
    assert clipon("classify", PIZZA, "--classifier", saved, "--labels", "a").returncode == 2
    done = clipon("classify")
    assert done.returncode == 2
    one_line(done.stderr, "expected pictures")


def test_a_file_of_another_model_is_refused(clipon: Command, clipon32: Command) -> None:
    saved = clipon.work / "saved.gguf"
    assert clipon("classify", "--labels", "a,b", "--save", saved).returncode == 0
    done = clipon32("classify", PIZZA, "--classifier", saved)
    assert done.returncode == 1
    one_line(done.stderr, "saved.gguf", "fingerprint")
    done = clipon("probe", "predict", saved, PIZZA)
    assert done.returncode == 1
    one_line(done.stderr, "expected a file of kind clipon.linear_probe, found clipon.classifier")


@pytest.mark.parametrize("form", ["folder", "csv"])
def test_probe_train_and_predict(clipon: Command, form: str) -> None:
    data = folders(clipon.work / "data")
    source = data
    if form == "csv":
        source = clipon.work / "data.csv"
        rows = [f'"data/{path.parent.name}/{path.name}",{path.parent.name}' for path in sorted(data.rglob("*.png"))]
        source.write_text("path,label\n" + "\n".join(rows) + "\n")
    probe = clipon.work / "probe.gguf"
    done = clipon("probe", "train", source, "-o", probe, "--c", 100, "--json")
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["pictures"] == 6
    assert summary["training_accuracy"] == 1.0
    assert summary["converged"]
    done = clipon("probe", "predict", probe, data, "--json", "--top", 1)
    for result in json.loads(done.stdout)["results"]:
        assert result["predictions"][0]["label"] == Path(result["path"]).parent.name
    table = clipon("probe", "train", source, "-o", probe, "--zero-shot", "--template", "{}", "--holdout", "0.5")
    assert table.returncode == 0
    assert "% of the validation pictures" in table.stdout


def test_probe_curve(clipon: Command) -> None:
    data = folders(clipon.work / "data")
    done = clipon("probe", "curve", data, "--test", data, "--shots", "1,2", "--repeats", 2, "--json")
    assert done.returncode == 0, done.stderr
    curve = json.loads(done.stdout)
    assert [(run["shots"], run["seed"], len(run["train"])) for run in curve["runs"]] == [
        (1, 0, 3), (1, 1, 3), (2, 0, 6), (2, 1, 6),
    ]  # fmt: skip
    assert curve["runs"][2]["probe"] == 1.0  # it was shown the test
    assert "zero-shot" in clipon("probe", "curve", data, "--shots", 1, "--repeats", 1).stdout


def test_probe_mistakes(clipon: Command) -> None:
    empty = clipon.work / "empty"
    empty.mkdir()
    broken = clipon.work / "broken.csv"
    broken.write_text("path,name\na.png,b\n")
    short = clipon.work / "short.csv"
    short.write_text("path,label\na.png\n")
    for data, words in (
        (empty, "folder for each class"),
        (broken, "expected a column 'label'"),
        (short, "expected 2 fields"),
    ):
        done = clipon("probe", "train", data, "-o", clipon.work / "x")
        assert done.returncode == 2
        one_line(done.stderr, words)
    assert clipon("probe").returncode == 2


def test_data_of_which_nothing_can_be_read(clipon: Command) -> None:
    data, broken, probe = folders(clipon.work / "data"), clipon.work / "broken", clipon.work / "p.gguf"
    for label in ("food", "animal"):
        (broken / label).mkdir(parents=True)
        (broken / label / "a.png").write_text("no picture")
    for line in (
        ("probe", "train", broken, "-o", probe),
        ("probe", "train", broken, "-o", probe, "--c", 1),
        ("probe", "train", data, "-o", probe, "--validation", broken),
        ("probe", "curve", broken),
        ("probe", "curve", data, "--test", broken),
        ("classify", "--labels", "food,animal", "--calibrate", broken),
    ):
        done = clipon(*line)
        assert (done.returncode, done.stdout) == (2, "")
        *failures, last = done.stderr.splitlines()
        assert last == f"clipon: {broken}: expected pictures, found none of 2 that could be read"
        assert len(failures) == 2 and all("a.png: picture: expected JPEG" in line for line in failures)
    assert not probe.exists()


@pytest.mark.parametrize("shots", ["-1", "0", "1,0"])
def test_shots_are_counted(clipon: Command, shots: str) -> None:
    done = clipon("probe", "curve", folders(clipon.work / "data"), "--shots", shots, "--repeats", 1)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, "--shots")


def test_a_share_that_is_whole_is_held_out_as_it_is(clipon: Command) -> None:
    """100 * 0.07 is 7.000000000000001."""
    for label in ("house", "pizza"):
        (clipon.work / "data" / label).mkdir(parents=True)
        for i in range(100):
            (clipon.work / "data" / label / f"{i}.png").symlink_to(SAMPLES / f"{label}.png")
    for share, held in (("0.07", 14), ("0.071", 16)):
        done = clipon(
            "probe", "curve", clipon.work / "data", "--holdout", share, "--shots", 1, "--repeats", 1, "--json"
        )
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["test"]) == held


def test_blanks_around_a_tab_are_no_part_of_a_label(clipon: Command) -> None:
    labels = clipon.work / "labels.txt"
    labels.write_text("cat \t kitten\npizza\t cake \tfood\n")
    done = clipon("classify", PIZZA, "--labels-file", labels, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["labels"] == ["cat", "pizza"]
    plain = clipon.work / "plain.txt"
    plain.write_text("cat\tkitten\npizza\tcake\tfood\n")
    assert found == json.loads(clipon("classify", PIZZA, "--labels-file", plain, "--json").stdout)
