"""classify beyond the best label, and probe: as docs/cli.md describes them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
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
    predictions = json.loads(done.stdout)["results"][0]["predictions"]
    assert best["margin"] == pytest.approx(best["cosine"] - predictions[1]["cosine"], abs=1e-6)
    assert [p["label"] for p in predictions] == [["pizza", "guitar", "house"][p["index"]] for p in predictions]
    assert chosen(clipon, PIZZA, *labels) == [["pizza"]]
    assert chosen(clipon, PIZZA, *labels, "--min-cosine", best["cosine"] + 0.01) == [[]]
    assert chosen(clipon, PIZZA, *labels, "--min-margin", best["margin"] + 0.01) == [[]]
    assert chosen(clipon, PIZZA, "--labels", "guitar,house", "--background", "pizza,something") == [[]]
    assert chosen(clipon, PIZZA, *labels, "--background", "a symbol") == [["pizza"]]
    assert chosen(clipon, PIZZA, *labels, "--background", "a symbol", "--min-background", 1) == [[]]
    for option in (
        ("--min-cosine", 0.99),
        ("--min-margin", 1),
        ("--background", "a symbol", "--min-background", 1),
        ("--multi-label", "--threshold", 1),
    ):
        table = clipon("classify", PIZZA, *labels, *option).stdout
        assert table.split()[1] == "unknown", option
    ranges = {"min-cosine": (-1.1, 1.1), "min-margin": (-0.1, 2.1), "min-background": (-2.1, 2.1)}
    ranges["threshold"] = (-0.1, 1.1)
    for option, value in [(name, value) for name in ranges for value in (*ranges[name], "nan")]:
        done = clipon("classify", PIZZA, *labels, "--multi-label", f"--{option}", value)
        assert (done.returncode, done.stdout) == (2, "")
        one_line(done.stderr, f"--{option}", f"found {value}")


def test_several_labels_and_temperature(clipon: Command) -> None:
    labels = ("--labels", "pizza,food,guitar")
    found = chosen(clipon, PIZZA, *labels, "--multi-label", "--background", "a picture,something", "--top", 1)
    assert "pizza" in found[0]
    assert "guitar" not in found[0]
    multi = ("classify", PIZZA, *labels, "--multi-label", "--threshold", 0, "--top", 1)
    result = json.loads(clipon(*multi, "--json").stdout)["results"][0]  # any of them may be chosen, shown or not
    assert set(result["chosen"]) == {"pizza", "food", "guitar"} and len(result["predictions"]) == 1
    assert ", ".join(result["chosen"]) in clipon(*multi).stdout
    assert chosen(clipon, PIZZA, *labels, "--multi-label", "--threshold", 1) == [[]]
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
    both = json.loads(clipon("classify", PIZZA, "--labels", "a,b", "--templates", templates, "--json").stdout)
    templates.write_text("an emoji of {}\n")
    line = ("classify", PIZZA, "--labels", "a,b", "--template", "{}", "--templates", templates, "--json")
    for one, other in zip(both["results"], json.loads(clipon(*line).stdout)["results"], strict=True):
        assert other["predictions"][0] == pytest.approx(one["predictions"][0], abs=1e-6)
    listed = clipon("classify", PIZZA, "--labels", "first", "--labels-file", labels, "--json")
    assert json.loads(listed.stdout)["labels"] == ["first", "Gericht", "Instrument"]
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
    shutil.copy(SAMPLES / "guitar.png", data / "animal")  # of a known label, and wrong
    saved = clipon.work / "saved.gguf"
    done = clipon(
        "classify", "--labels", "food,animal", "--background", "a car", "--calibrate", data,
        "--target-precision", "0.75", "--save", saved, "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rules = {rule["rule"]: rule for rule in json.loads(done.stdout)["calibration"]}
    assert set(rules) == {"cosine", "margin", "background"}
    assert all(rule["precision"] >= 0.75 for rule in rules.values())
    labels = ("--labels", "food,animal", "--background", "a car")
    results = json.loads(clipon("classify", data, *labels, "--json").stdout)["results"]
    truth = [Path(result["path"]).parent.name for result in results]
    best = [result["predictions"][0] for result in results]
    right = np.array([prediction["label"] == label for prediction, label in zip(best, truth, strict=True)])
    known = np.array([label != "vehicle" for label in truth])
    assert right.sum() < known.sum() < len(truth)
    for rule in ("cosine", "margin"):
        scores = np.array([prediction[rule] for prediction in best])
        accepted = scores >= rules[rule]["threshold"] - 1e-6
        assert rules[rule]["coverage"] == pytest.approx(accepted.mean())
        assert rules[rule]["precision"] == pytest.approx(right[accepted].mean())
        for key, good in (("auroc_right", right), ("auroc_known", known)):
            above = scores[good][:, None] - scores[~good]
            assert rules[rule][key] == pytest.approx((above > 0).mean() + 0.5 * (above == 0).mean())
    every = clipon("classify", *labels, "--calibrate", data, "--target-precision", 0.01, "--json")
    assert [rule["coverage"] for rule in json.loads(every.stdout)["calibration"]] == [1, 1, 1]
    assert "by cosine" in clipon("classify", *labels, "--calibrate", data).stdout
    for share in (2, "nan"):
        refused = clipon("classify", *labels, "--calibrate", data, "--target-precision", share)
        assert refused.returncode == 2
        one_line(refused.stderr, "--target-precision")
    strict = ("--target-precision", 1, "--save", saved)
    direct = chosen(clipon, data, *labels, "--calibrate", data, *strict)
    assert [] in direct and ["food"] in direct
    assert chosen(clipon, data, "--classifier", saved) == direct
    again = json.loads(clipon("classify", data / "food", "--classifier", saved, "--json").stdout)
    assert again["labels"] == ["food", "animal"]
    assert clipon("classify", PIZZA, "--classifier", saved, "--labels", "a").returncode == 2
    done = clipon("classify")
    assert done.returncode == 2
    one_line(done.stderr, "expected pictures")


@pytest.mark.parametrize(("rule", "never", "always"), [("cosine", 1, -1), ("margin", 2, 0), ("background", 2, -2)])
def test_a_saved_threshold_holds_until_another_is_given(clipon: Command, rule: str, never: int, always: int) -> None:
    saved = clipon.work / "saved.gguf"
    labels = ("--labels", "pizza,house", "--background", "a sound")
    assert clipon("classify", *labels, f"--min-{rule}", never, "--save", saved).returncode == 0
    assert chosen(clipon, PIZZA, "--classifier", saved) == [[]]
    assert chosen(clipon, PIZZA, "--classifier", saved, f"--min-{rule}", always) == [["pizza"]]


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
    assert (
        json.loads(done.stdout)["labels"]
        == summary["labels"]
        == sorted({path.parent.name for path in data.rglob("*.png")})
    )
    for result in json.loads(done.stdout)["results"]:
        assert [p["label"] for p in result["predictions"]] == [Path(result["path"]).parent.name]
    done = clipon("probe", "predict", probe, PIZZA, "--json", "--top", 0)
    assert len(json.loads(done.stdout)["results"][0]["predictions"]) == 3
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


def test_probe_curve_of_classes_that_mean_nothing(clipon: Command) -> None:
    data = clipon.work / "data"
    for i, path in enumerate(sorted(SAMPLES.glob("*.png"))):
        (data / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, data / "ab"[i % 2])

    def curve(*options: object) -> dict[str, object]:
        done = clipon("probe", "curve", data, "--test", data, *options, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    drawn = curve("--c", 1e-6, "--shots", 6, "--repeats", 1)
    assert drawn["c"] == 1e-6 and drawn["zero_shot"] < 1
    assert drawn["runs"][0]["probe_zero_shot"] < 1  # the penalty holds it near the texts
    assert drawn["runs"][0]["probe_zero_shot"] != drawn["runs"][0]["probe"]
    shown = curve("--c", 1e6, "--shots", 6, "--repeats", 1)
    assert shown["runs"][0]["probe"] == shown["runs"][0]["probe_zero_shot"] == 1.0
    options = ("--shots", "1,3", "--repeats", 3, "--template", "{}")
    found = curve(*options)
    assert found["runs"][0]["train"] != found["runs"][1]["train"]
    head, _, *lines = clipon("probe", "curve", data, "--test", data, *options).stdout.splitlines()
    assert head == f"12 test pictures, zero-shot {100 * found['zero_shot']:.1f} %"
    for line, shots in zip(lines, (1, 3), strict=True):
        wanted = [str(shots)]
        for key in ("probe", "probe_zero_shot", "tip_adapter"):
            values = [100 * run[key] for run in found["runs"] if run["shots"] == shots]
            wanted += [f"{np.mean(values):.1f}", "%", "+-", f"{np.std(values):.1f}"]
        assert line.split() == wanted
    worded = curve(*options[:-1], "the opposite of {}, really")
    assert [run["probe"] for run in worded["runs"]] == [run["probe"] for run in found["runs"]]
    assert [run["tip_adapter"] for run in worded["runs"]] != [run["tip_adapter"] for run in found["runs"]]
    done = clipon("probe", "curve", data, "--holdout", 0.9, "--shots", 9, "--repeats", 1, "--json")
    held = json.loads(done.stdout)
    assert (len(held["test"]), len(held["runs"][0]["train"])) == (10, 2) and held["zero_shot"] < 1
    assert set(held["test"]).isdisjoint(held["runs"][0]["train"])
    shutil.copytree(data, clipon.work / "whole")
    (data / "a/broken.png").write_text("no picture")
    for line in ((clipon.work / "whole", "--test", data), (data, "--test", clipon.work / "whole"), (data,)):
        done = clipon("probe", "curve", *line, "--shots", 1, "--repeats", 1)
        assert done.returncode == 3
        one_line(done.stderr, "a/broken.png: picture: expected JPEG")
    done = clipon("probe", "curve", data, "--repeats", 0)
    assert done.returncode == 2
    one_line(done.stderr, "--repeats")


def test_what_is_trained_on_and_tested_with(clipon: Command) -> None:
    data, other, probe = folders(clipon.work / "data"), folders(clipon.work / "other"), clipon.work / "p.gguf"
    (data / "food/broken.png").write_text("no picture")
    (other / "food/broken.png").write_text("no picture")
    (other / "vehicle/bicycle.png").unlink()

    def train(*options: object) -> dict[str, object]:
        done = clipon("probe", "train", *options, "-o", probe, "--json")
        assert (done.returncode, done.stderr.count("broken.png: picture")) == (3, 1 + ("--validation" in options))
        return json.loads(done.stdout)

    def probabilities() -> list[float]:
        done = clipon("probe", "predict", probe, SAMPLES / "tulip.png", SAMPLES / "bicycle.png", "--json")
        return [p["probability"] for r in json.loads(done.stdout)["results"] for p in r["predictions"]]

    found = train(data, "--c", 0.5)
    assert (found["pictures"], found["failed"], found["c"], found["sweep"]) == (6, 1, 0.5, [])
    of_the_data = probabilities()
    with_more = train(data, "--validation", other)
    assert (with_more["pictures"], with_more["failed"]) == (6, 2)
    assert max(step["accuracy"] for step in with_more["sweep"]) == 1.0
    assert with_more["c"] in [step["c"] for step in with_more["sweep"]]
    # C chosen, the probe learns from all of the pictures: six, and those that chose it
    of_both = probabilities()
    for path in other.rglob("*.png"):
        if path.name != "broken.png":
            shutil.copy(path, data / path.parent.name / f"other-{path.name}")
    assert train(data, "--c", with_more["c"])["pictures"] == 11
    assert probabilities() == pytest.approx(of_both, abs=1e-3) != pytest.approx(of_the_data, abs=1e-2)
    done = clipon("probe", "predict", probe, data, "--json")
    assert done.returncode == 3
    one_line(done.stderr, "food/broken.png: picture: expected JPEG")
    (data / "food/broken.png").unlink()
    done = clipon("probe", "train", data, "--validation", other, "--c", 1, "-o", probe)
    assert done.returncode == 2 and "--c excludes --validation" in done.stderr
    done = clipon("probe", "train", data, "--validation", other, "-o", probe)
    assert done.returncode == 3
    one_line(done.stderr, "food/broken.png: picture: expected JPEG")


def test_prompts_and_shares_of_a_probe_are_those_given(clipon: Command) -> None:
    data, probe = folders(clipon.work / "data"), clipon.work / "p.gguf"
    for path in list(data.rglob("*.png")):
        for copy in range(4):
            shutil.copy(path, path.with_name(f"{copy}-{path.name}"))
    trained = []
    for options in ((), ("--zero-shot",), ("--zero-shot", "--template", "the opposite of {}, really")):
        assert clipon("probe", "train", data, "-o", probe, "--c", 1e-4, *options).returncode == 0
        trained.append(json.loads(clipon("probe", "predict", probe, PIZZA, "--json").stdout)["results"])
    assert trained[0] != trained[1] != trained[2]
    for i, path in enumerate(sorted(SAMPLES.glob("*.png"))):  # two classes that mean nothing
        (clipon.work / "odd" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, clipon.work / "odd" / "ab"[i % 2])
    done = clipon("probe", "train", clipon.work / "odd", "-o", probe, "--holdout", 0.9, "--json")
    right = [10 * step["accuracy"] for step in json.loads(done.stdout)["sweep"]]  # of 6 a class, 5 are held out
    assert right == pytest.approx([round(n) for n in right]) and any(round(n) % 5 for n in right)
    for command in (("train", data, "-o", probe), ("curve", data)):
        for share in ("nan", 0.95, 0):
            done = clipon("probe", *command, "--holdout", share)
            assert (done.returncode, done.stdout) == (2, "")
            one_line(done.stderr, "--holdout", f"found {share}")


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
