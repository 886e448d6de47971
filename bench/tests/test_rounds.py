"""What a round measures: rates, ratios, shares of the peak, agreement, and how much others disturbed it."""

from __future__ import annotations

import dataclasses
import itertools
import math
import time
from pathlib import Path

import numpy as np
import pytest
from comparison import other_work, report, rounds
from comparison.marks import rows
from comparison.report import Line
from comparison.rounds import cosines
from made_up import Clock, result


def test_a_ratio_is_the_median_of_the_rounds_own() -> None:
    one = result()
    one.rates = {"clipon f32": [30.0, 20.0, 40.0], "openvino f32": [10.0, 20.0, 8.0], "torch f32": [15.0, 5.0, 10.0]}
    one.cosines = dict.fromkeys(one.rates, (1.0, 1.0))
    assert one.ratio == 2.0  # of 30 / 15, 20 / 20, 40 / 10
    one.peaks = [100.0, 300.0, 200.0]
    assert one.share("clipon f32") == pytest.approx(30.0 * 8.8 / 300.0)
    one.cosines["torch f32"] = (0.9998, 1.0)  # it computes something else: the other peer is left
    assert one.ratio == 3.0  # of 30 / 10, 20 / 20, 40 / 8
    assert "NOT COMPARABLE, the embeddings are others: torch f32: cosine 0.99980" in report.lines_of(one, "A")[0].why
    one.cosines["clipon f32"] = (0.9, 1.0)
    assert one.ratio == 0.0 and report.lines_of(one, "A")[0].verdict == "missed"
    one.cosines["clipon f32"], one.cosines["openvino f32"] = (1.0, 1.0), (0.9, 1.0)
    assert one.ratio == 0.0  # ahead of nobody


def test_shares_are_told_only_where_the_peak_is_the_contestant_s() -> None:
    one = result()
    one.rates = {name: [10.0] for name in ("clipon f32", "torch f32", "torch bf16", "clipon f32, 1 thread")}
    shares = {name: one.share(name) for name in one.rates}
    full = pytest.approx(10.0 * 8.8 / 100.0)
    assert shares == {"clipon f32": full, "torch f32": full, "torch bf16": None, "clipon f32, 1 thread": None}
    one.row = dataclasses.replace(one.row, isa="avx2")  # which the peer does not know of
    assert (one.share("clipon f32"), one.share("torch f32")) == (full, None)
    one = result("short_text")
    assert [one.share(name) for name in one.rates] == [None, None]


def test_cosines_are_the_worst_row_s() -> None:
    expected = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert cosines(7 * expected, expected) == pytest.approx((1.0, 1.0))
    turned = np.array([[1.0, 0.0], [0.6, 0.8]])
    worst, centred = cosines(turned, expected)
    assert worst == pytest.approx(0.8)
    assert centred == pytest.approx(0.1 / 0.1**0.5 / 0.5**0.5)  # of (0.1, 0.3) and (-0.5, 0.5)
    assert math.isnan(cosines(turned[:1], expected[:1])[1])


def test_who_begins_a_round_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rounds, "PAUSE", 0.0)
    turns: list[str] = []
    contestants = {name: Clock(name, ms, turns) for name, ms in (("clipon f32", 2.0), ("torch f32", 8.0))}
    row = dataclasses.replace(next(iter(rows())), batch=2)
    pace = rounds.Pace(3, 0.0, 0.0)
    found = rounds.measure(row, contestants, 1.0, pace, np.eye(2, 64), tmp_path / "unused")
    assert turns == ["clipon f32", "torch f32", "torch f32", "clipon f32", "clipon f32", "torch f32"]
    assert found.rates == {"clipon f32": [1000.0] * 3, "torch f32": [250.0] * 3}
    assert found.ratio == 4.0


@pytest.mark.parametrize("loads", [[0.5, 0.01], [0.5, 0.3, 0.4]])
def test_a_disturbed_run_is_measured_again_and_the_least_disturbed_counts(
    monkeypatch: pytest.MonkeyPatch, loads: list[float]
) -> None:
    runs = iter([(100.0 * i, load) for i, load in enumerate(loads)])
    monkeypatch.setattr(rounds, "timed_run", lambda *_: next(runs))
    assert rounds.undisturbed_run(None, None, 1, rounds.Pace(3, 0.0, 30.0)) == (100.0, min(loads))
    assert next(runs, None) is None


class Busy:
    """A machine of two cores on which 3 s pass, 5 of its 6 seconds are worked, and the contestant works for `own`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, own: float) -> None:
        times = {
            "wall": itertools.count(0.0, 3.0),
            "busy": itertools.count(10.0, 5.0),
            "own": itertools.count(0.0, own),
        }
        monkeypatch.setattr(rounds, "PAUSE", 0.0)
        monkeypatch.setattr(rounds, "CORES", {0, 1})
        monkeypatch.setattr(rounds.time, "perf_counter", lambda: next(times["wall"]))
        monkeypatch.setattr(rounds, "machine_busy", lambda: next(times["busy"]))
        self.times = times

    def cpu_seconds(self) -> float:
        return next(self.times["own"])

    def run(self, kind: str, n: int, calls: int) -> list[float]:
        return [20.0, 10.0, 90.0][:calls]


@pytest.mark.parametrize(("own", "others"), [(4.0, 1 / 6), (5.0, 0.0), (5.2, 0.0)])
def test_what_others_use_is_what_the_contestant_does_not(
    monkeypatch: pytest.MonkeyPatch, own: float, others: float
) -> None:
    row = dataclasses.replace(next(iter(rows())), batch=4)
    rate, share = rounds.timed_run(Busy(monkeypatch, own), row, 3)
    assert rate == pytest.approx(4 / 20e-3)  # by the median call
    assert share == pytest.approx(others)


def test_seconds_that_the_cores_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [
        "cpu  9 9 9 9 9 9 9 9 9 9",
        "cpu0 1 2 3 1000 1000 4 5 6 0 0",
        "cpu1 10 0 0 0 0 0 0 0 0 0",
        "cpu12 7 0 0 0 0 0 0 0",
    ]
    monkeypatch.setattr(rounds.Path, "read_text", lambda _: "\n".join([*lines, "intr 5 5"]))
    monkeypatch.setattr(rounds, "CORES", {0, 1})
    assert rounds.machine_busy() == pytest.approx((21 + 10) / rounds.TICKS)  # neither idle nor waiting for a disk


def test_time_for_repeats_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = iter([(1.0, 0.5), (2.0, 0.4), (3.0, 0.3)])

    def slow(*_: object) -> tuple[float, float]:
        time.sleep(0.02)
        return next(runs)

    monkeypatch.setattr(rounds, "timed_run", slow)
    pace = rounds.Pace(3, 0.0, 0.01)
    assert rounds.undisturbed_run(None, None, 1, pace) == (2.0, 0.4)
    assert pace.repeats < 0
    assert rounds.undisturbed_run(None, None, 1, pace) == (3.0, 0.3)  # and no more


@pytest.mark.parametrize(("precision", "least"), [("f32", 0.9999), ("bf16", 0.999), ("int8", 0.98)])
def test_how_near_embeddings_must_be(precision: str, least: float) -> None:
    one = result()
    for cosine, agrees in ((least, True), (least - 1e-6, False)):
        one.cosines = {f"peer {precision}": (cosine, math.nan)}
        assert one.agrees(f"peer {precision}") == agrees


@pytest.mark.parametrize(("burn", "why"), [(0.3, "; others used "), (0.0, "")])
def test_other_work_says_when_it_was_disturbed(monkeypatch: pytest.MonkeyPatch, burn: float, why: str) -> None:
    idle = itertools.count(100.0, burn * len(rounds.CORES))  # a machine that works `burn` of a second between

    def work_a_second(*_: object) -> list[Line]:
        monkeypatch.setattr(rounds.time, "perf_counter", lambda: 1.0)
        return [Line("work", "", "", 1.0, 1.0, "x", why="as before")]

    monkeypatch.setattr(rounds, "machine_busy", lambda: next(idle))
    monkeypatch.setattr(rounds.time, "perf_counter", lambda: 0.0)
    (line,) = other_work.measured_alone(work_a_second, None, False)
    assert line.why.startswith("as before" + why) and ("others" in line.why) == bool(why)
