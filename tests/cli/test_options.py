"""Options that stand before what they would swallow, values that are a default's, lists of labels, options in doubt."""

from __future__ import annotations

import json
import shutil

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
