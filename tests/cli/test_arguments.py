"""What is typed is what is meant: brackets, leading zeros, options that would change nothing; errors of one line."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from test_commands import one_line

from conftest import SAMPLES, Command

PIZZA = SAMPLES / "pizza.png"


def test_brackets_are_part_of_a_text(clipon: Command) -> None:
    def ids(*texts: str) -> list[list[int]]:
        return [json.loads(line) for line in clipon("tokenize", *texts).stdout.splitlines()]

    (word,) = ids("cat")
    assert len(ids("[cat]")[0]) > len(word)
    assert len(ids("[a photo, of a cat]", "cat")) == 2
    assert ids("--", "[cat]", "--a=[b]") == ids("[cat]") + ids("--", "--a=[b]")
    assert ids("\x01[cat]") == ids(" \x01[cat]")


@pytest.mark.parametrize("name", ["[2023]", "[a,b]"])
def test_brackets_are_part_of_a_name(clipon: Command, name: str) -> None:
    folder = clipon.work / name
    folder.mkdir()
    shutil.copy(PIZZA, folder)
    for pictures in (("--images", name), (f"--images={name}",)):
        for out in (("-o", name + ".npy"), (f"-o{name}.npy",)):
            done = clipon("embed", *pictures, *out, cwd=clipon.work)
            assert done.returncode == 0, done.stderr
            assert np.load(clipon.work / f"{name}.npy").shape[0] == 1
            (clipon.work / f"{name}.npy").unlink()
    done = clipon("classify", name, "--labels", "[pizza],house", "--json", cwd=clipon.work)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["labels"] == ["[pizza]", "house"]
    one_line(clipon(name).stderr, f"no such command: {name} ")


def test_a_query_with_brackets(clipon: Command) -> None:
    assert clipon("index", PIZZA, "--index", clipon.work / "i").returncode == 0
    done = clipon("search", "[red apple, green]", "--index", clipon.work / "i", "--json")
    assert json.loads(done.stdout)["query"] == "[red apple, green]"


def test_numbers_are_decimal(clipon: Command) -> None:
    labels = ",".join(f"thing {i}" for i in range(12))
    for top, count in (("010", 10), ("08", 8), ("3", 3)):
        done = clipon(
            "classify", PIZZA, "--labels", labels, "--top", top, "--batch", "010", "--threads", "01", "--json"
        )
        assert done.returncode == 0, done.stderr
        assert len(json.loads(done.stdout)["results"][0]["predictions"]) == count


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("classify", "--labels", "a", "--calibrate", SAMPLES, "--min-cosine", "0.9"), ["--min-cosine", "--calibrate"]),
        (("classify", "--labels", "a", "--calibrate", SAMPLES, "--min-margin", "0.9"), ["--min-margin", "--calibrate"]),
        (("classify", PIZZA, "--labels", "a", "--target-precision", "0.5"), ["--target-precision", "--calibrate"]),
        (("classify", "--labels", "a", "--calibrate", SAMPLES, "--target-precision", "0"), ["--target-precision"]),
        (("probe", "train", SAMPLES, "-o", "x", "--validation", SAMPLES, "--holdout", "0.5"), ["--holdout"]),
        (("bench", "--arch", "RN50", "--model", "x.gguf"), ["--arch NAME or --model FILE, found both"]),
        (("bench", "--arch", "RN50", "--isa", "scalar,foo"), ["foo"]),
        (("classify", PIZZA, "--labels", "a", "--background", " "), ["background[0]: expected words"]),
        (("embed", "--images", PIZZA, "-o", ""), ["--out: expected a file's name, found nothing"]),
        (("evaluate", SAMPLES, "--report", ""), ["--report"]),
        (("--threads", "-1", "info"), ["--threads", "a whole number from 0 to"]),
    ],
)
def test_mistakes(clipon: Command, line: tuple[object, ...], words: list[str]) -> None:
    done = clipon(*line)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    one_line(done.stderr, *words)


def test_an_error_is_one_line_whatever_a_name_holds(clipon: Command) -> None:
    folder = clipon.work / "ev\x1b[31mil\nclipon: all is well"
    (folder / "empty").mkdir(parents=True)
    done = clipon("evaluate", folder)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, "ev\\x1b[31mil\\x0aclipon: all is well")


def test_a_rule_that_rejects_nothing_still_decides(clipon: Command) -> None:
    plain = clipon("classify", PIZZA, "--labels", "pizza,house").stdout.split()
    for rule in (("--min-cosine", "-1"), ("--min-margin", "0")):
        words = clipon("classify", PIZZA, "--labels", "pizza,house", *rule).stdout.split()
        assert words == [plain[0], "pizza", *plain[1:]]


def test_a_picture_that_calibration_could_not_read_has_failed(clipon: Command) -> None:
    data = clipon.work / "data/pizza"
    data.mkdir(parents=True)
    shutil.copy(PIZZA, data)
    calibrate = ("classify", "--labels", "pizza,house", "--calibrate", data.parent)
    assert clipon(*calibrate).returncode == 0
    (data / "broken.png").write_bytes(b"no picture")
    done = clipon(*calibrate)
    assert done.returncode == 3
    one_line(done.stderr, "broken.png")


def test_a_file_that_is_replaced_keeps_its_permissions(clipon: Command) -> None:
    out = clipon.work / "e.npy"
    for mode in (0o600, 0o640):
        out.touch()
        out.chmod(mode)
        assert clipon("embed", "--images", PIZZA, "-o", out).returncode == 0
        assert out.stat().st_mode & 0o777 == mode
        out.unlink()
