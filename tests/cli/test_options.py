"""Options that stand before what they would swallow, values that are a default's, lists of labels, options in doubt."""

from __future__ import annotations

import json
import shutil

import pytest
from test_commands import one_line

from conftest import SAMPLES, Command

PIZZA = SAMPLES / "pizza.png"


def test_a_list_option_leaves_data_to_the_command(clipon: Command) -> None:
    table = clipon.work / "data.csv"
    table.write_text(f"path,label\n{PIZZA},pizza\n{SAMPLES / 'house.png'},house\n")
    done = clipon("evaluate", "--shift", "contrast", "--shift", "jpeg,blur", table, "--json")
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["shift"]) == ["contrast", "jpeg", "blur"]
    for label in ("house", "pizza"):
        (clipon.work / "data" / label).mkdir(parents=True)
        for name in "abc":
            shutil.copy(SAMPLES / f"{label}.png", clipon.work / "data" / label / f"{name}.png")
    done = clipon("probe", "curve", "--shots", "1,2", clipon.work / "data", "--repeats", 1, "--json")
    assert done.returncode == 0, done.stderr
    assert [run["shots"] for run in json.loads(done.stdout)["runs"]] == [1, 2]


@pytest.mark.parametrize(("option", "default"), [("--threshold", "0.5"), ("--temperature", "1")])
def test_a_default_that_is_given_is_refused_like_other_values(clipon: Command, option: str, default: str) -> None:
    saved = clipon.work / "saved.gguf"
    for value in (default, "0.7"):
        assert clipon("classify", "--labels", "a,b", "--multi-label", option, value, "--save", saved).returncode == 0
        done = clipon("classify", PIZZA, "--classifier", saved, option, value)
        assert (done.returncode, done.stdout) == (2, "")
        one_line(done.stderr, "--classifier", option)
    if option == "--threshold":
        for value in (default, "0.7"):
            done = clipon("classify", PIZZA, "--labels", "a,b", option, value)
            assert (done.returncode, done.stdout) == (2, "")
            one_line(done.stderr, "--threshold: expected --multi-label beside it")
    (shown,) = [line for line in clipon("classify", "--help").stdout.splitlines() if line.strip().startswith(option)]
    assert shown.endswith(f"={default}")


def test_what_stands_before_bench_counts_or_is_refused(clipon: Command) -> None:
    out = clipon.work / "bench.json"
    line = ("bench", "--model", SAMPLES.parent / "clipon-demo.gguf", "--tower", "text", "--seconds", 0)
    for before, after, batches in ((("--batch", 3), (), [3]), (("--batch", 3), ("--batch", "2,4"), [2, 4])):
        done = clipon(*before, *line, *after, "--json", out)
        assert done.returncode == 0, done.stderr
        assert [row["batch"] for row in json.loads(out.read_text())["results"]] == batches
    for before, after in ((("--json",), ()), (("--exif",), ()), (("--truncate",), ()), ((), ("--exif",))):
        done = clipon(*before, *line, *after)
        assert (done.returncode, done.stdout) == (2, "")
        one_line(done.stderr, f"bench: {(*before, *after)[0]}: expected ")


def test_two_outputs_are_two_files(clipon: Command) -> None:
    table, one = clipon.work / "data.csv", clipon.work / "one"
    table.write_text(f"path,label\n{PIZZA},pizza\n")
    (clipon.work / "folder").mkdir()
    for other in (one, clipon.work / "folder/../one", "one"):
        for first, second in (
            ("--report", "--predictions"),
            ("--report", "--confusion"),
            ("--predictions", "--confusion"),
        ):
            done = clipon("evaluate", table, first, one, second, other, cwd=clipon.work)
            assert (done.returncode, done.stdout) == (2, "")
            one_line(done.stderr, f"{first}, {second}: expected different files, found {one} for both")
            assert not one.exists()
    one.touch()
    (clipon.work / "link").symlink_to(one)
    done = clipon("evaluate", table, "--predictions", clipon.work / "link", "--confusion", one)
    assert done.returncode == 2
    for shared in ("/dev/null", "/dev/stdout"):
        assert clipon("evaluate", table, "--predictions", shared, "--confusion", shared).returncode == 0
