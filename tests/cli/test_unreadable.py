"""Pictures and folders that may not be read, as `clipon index` meets them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_index import rows, summary

from conftest import SAMPLES, Command


def as_plain_user() -> list[str]:
    """What a command begins with that root runs: root reads what it may not, unless it gives that up."""
    if os.geteuid() != 0:
        return []
    start = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
    if shutil.which("setpriv") is None or subprocess.run([*start, "true"], check=False).returncode != 0:
        pytest.skip("needs setpriv, or a user other than root")
    return start


def test_a_file_that_could_not_be_read_is_tried_again(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"
    (pictures / "broken.png").write_text("no picture")
    (pictures / "locked.png").write_bytes((SAMPLES / "house.png").read_bytes())
    (pictures / "locked.png").chmod(0)
    line = [*as_plain_user(), clipon.program, "index", pictures, "--index", index, "--json"]
    for _ in range(2):
        done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 3, done.stderr
        assert "locked.png: picture: Permission denied" in done.stderr
        assert sum("error" in row for row in rows(index)) == 2
    assert "broken.png" not in done.stderr  # tried once
    (pictures / "locked.png").chmod(0o600)
    assert summary(clipon("index", pictures, "--index", index, "--json"))["changed"] == 1
    assert [Path(str(row["path"])).name for row in rows(index) if "error" in row] == ["broken.png"]


def test_a_folder_that_may_not_be_read_is_told_and_its_rows_stay(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"
    locked = pictures / "locked"
    locked.mkdir()
    (locked / "house.png").write_bytes((SAMPLES / "house.png").read_bytes())
    (pictures / "link").symlink_to("locked")  # links are not followed, so nothing is left out there
    before = summary(clipon("index", pictures, "--index", index, "--json"))["rows"]
    locked.chmod(0)
    line = [*as_plain_user(), clipon.program, "index", pictures, "--index", index, "--json"]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    locked.chmod(0o700)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines() == [f"clipon: {locked}: left out: Permission denied"]
    again = json.loads(done.stdout)
    assert (again["rows"], again["removed"]) == (before, 0)


def test_an_index_that_may_not_be_read_is_not_said_to_be_missing(clipon: Command, pictures: Path) -> None:
    index = clipon.work / "index"
    assert clipon("index", pictures, "--index", index).returncode == 0
    index.chmod(0)
    line = [*as_plain_user(), clipon.program, "search", "pizza", "--index", index]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    index.chmod(0o700)
    assert done.returncode == 1
    assert done.stderr == f"clipon: {index}: expected an index, Permission denied\n"


def test_a_folder_that_has_become_empty_leaves_the_index(clipon: Command) -> None:
    folder, index = clipon.work / "data", clipon.work / "index"
    folder.mkdir()
    picture = folder / "house.png"
    picture.write_bytes((SAMPLES / "house.png").read_bytes())
    assert clipon("index", folder, "--index", index).returncode == 0
    picture.unlink()
    found = summary(clipon("index", folder, "--index", index, "--json"))
    assert (found["rows"], found["removed"]) == (0, 1)
    assert clipon("index", folder, "--index", clipon.work / "other").returncode == 2
