"""What is told of results: verdicts, cells, JSON, and marks that are the documentation's."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from comparison import report
from comparison.marks import rows
from comparison.report import Line
from made_up import result

BENCH = Path(__file__).resolve().parents[1]


def test_a_peak_that_was_not_steady_is_told() -> None:
    one = result()
    one.row = next(row for row in rows() if "A" in row.peak)
    one.peaks = [115.0, 236.0]
    assert report.lines_of(one, "A")[1].best == "236 GFLOP/s (from 115)"
    one.peaks = [230.0, 236.0]
    assert report.lines_of(one, "A")[1].best == "236 GFLOP/s"


def test_json_is_json_and_no_cell_is_lost() -> None:
    one = result()  # of one item: no mean to subtract
    one.cosines = dict.fromkeys(one.rates, (0.99999, math.nan))

    def refuse(word: str) -> None:
        raise ValueError(word)

    text = report.to_json([one], report.lines_of(one, "A"), {"cpu": "a CPU"})
    found = json.loads(text, parse_constant=refuse)
    assert found["results"][0]["cosines"] == {name: [0.99999, None] for name in one.rates}
    assert found["marks"][0]["verdict"] == "met" and found["machine"] == {"cpu": "a CPU"}
    head, _, *lines = report.details([one]).splitlines()
    assert len(lines) == 2 and all(line.count("|") == head.count("|") for line in lines)
    assert lines[0].endswith("| 0.99999 |  |")


@pytest.mark.parametrize(
    ("value", "mark", "at_most", "verdict"),
    [(1.2, 1.2, False, "met"), (1.19, 1.2, False, "missed"), (2.0, 2.0, True, "met"), (2.1, 2.0, True, "missed"),
     (None, 2.0, True, "open"), (1.0, None, False, "no mark")],
)  # fmt: skip
def test_verdicts(value: float | None, mark: float | None, at_most: bool, verdict: str) -> None:
    assert Line("work", "", "", value, mark, "x", at_most).verdict == verdict


def test_marks_are_those_that_the_documentation_tells() -> None:
    text = (BENCH.parent / "docs/performance.md").read_text()
    for kind, title in (("A", "## With AVX-512"), ("B", "## With AMX")):
        section = text.split(title)[1].split("\n## ")[0]
        told = {}
        for line in section.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            arch_and_work = re.fullmatch(r"(\S+) (\w+), (batch \d+)", cells[0])
            if arch_and_work and len(cells) == 7:
                arch, precision, batch = arch_and_work.groups()
                share = cells[6].split(",")[0]
                marks = (float(cells[4].split(",")[0]), float(share) if share else None)
                told[f"{arch} images, {precision}, {batch}"] = marks
        wanted = {row.name: (row.ratio[kind], row.peak.get(kind)) for row in rows() if kind in row.ratio}
        assert len(told) >= 16
        for name, (ratio, share) in told.items():
            assert wanted[name][0] == ratio, (kind, name)
            assert share is None or wanted[name][1] == share, (kind, name)
