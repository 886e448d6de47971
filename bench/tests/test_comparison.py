"""bench/compare.py without peers: what it is told, contestants that fail, what is written then, what is made once."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCH))

import compare  # noqa: E402
from comparison import report, rounds  # noqa: E402
from comparison.contestants import Contestant, ContestantError  # noqa: E402
from comparison.marks import rows  # noqa: E402
from comparison.prepare import made  # noqa: E402
from comparison.rounds import Result, cosines  # noqa: E402


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> None:
    """compare.py with programs that need not run, in the place of the venv that has the peers."""
    for tool in compare.tools_in(folder):
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.touch()
    monkeypatch.setattr(compare, "enter_venv", lambda _: None)
    monkeypatch.setattr(compare, "machine", lambda _: {"cpu": "a CPU", "cores": 2, "versions": {}})
    monkeypatch.setattr(compare, "prepare_all", lambda *_: None)
    line = ["compare.py", "--build", str(folder), "--work", str(folder), *arguments]
    monkeypatch.setattr(sys, "argv", line)
    compare.main()


def test_rows_that_there_are_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "compare.md").write_text("of an earlier run")
    with pytest.raises(SystemExit) as refused:
        run(monkeypatch, tmp_path, "--rows", "nothing")
    told = str(refused.value)
    assert told.startswith("compare.py: --rows: expected to match a row, found 'nothing'; there are\n    ")
    assert "\n    2 threads against 1, f32, batch 32\n" in told and told.endswith("\n    memory")
    assert (tmp_path / "compare.md").read_text() == "of an earlier run"


def test_rows_that_are_no_expression(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        run(monkeypatch, tmp_path, "--rows", "(")
    assert refused.value.code == 2
    assert "--rows: expected a regular expression, found '(': missing )" in capsys.readouterr().err


def result(tower: str = "image") -> Result:
    row = next(row for row in rows() if row.tower == tower)
    rates = {"clipon f32": [2.0, 2.0], "openvino f32": [1.0, 1.0]}
    return Result(row, rates, [100.0], 8.8, dict.fromkeys(rates, (1.0, 1.0)))


@pytest.mark.parametrize("measured", [0, 1])
def test_what_was_measured_before_a_failure_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, measured: int
) -> None:
    def fail(*_: object) -> Iterator[Result]:
        yield from [result()] * measured
        raise ContestantError("a peer: it ended")

    (tmp_path / "compare.md").write_text("of an earlier run")
    monkeypatch.setattr(compare, "measure_rows", fail)
    with pytest.raises(SystemExit, match=r"compare\.py: a peer: it ended"):
        run(monkeypatch, tmp_path, "--rows", "B/32")
    text = (tmp_path / "compare.md").read_text()
    assert (f"| {result().row.name} |" in text) if measured else (text == "of an earlier run")
    assert (tmp_path / "compare.json").is_file() == bool(measured)


@pytest.mark.parametrize(("tower", "has_matplotlib"), [("text", True), ("image", False), ("image", True)])
def test_a_chart_that_was_not_drawn_is_not_announced(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    tower: str,
    has_matplotlib: bool,
) -> None:
    if tower == "image" and has_matplotlib:
        monkeypatch.setattr(report, "draw", lambda *_: True)
    else:
        monkeypatch.setattr("importlib.util.find_spec", lambda _: object() if has_matplotlib else None)
    monkeypatch.setattr(compare, "measure_rows", lambda *_: iter([result(tower)]))
    run(monkeypatch, tmp_path, "--rows", "B/32")
    announced = capsys.readouterr().out.splitlines()[-1]
    assert announced == f"{tmp_path}/compare.md, compare.json" + (
        ", compare.svg" if tower == "image" and has_matplotlib else ""
    )


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


def test_cosines_are_the_worst_row_s() -> None:
    expected = np.array([[1.0, 0.0], [0.0, 1.0]])
    assert cosines(7 * expected, expected) == pytest.approx((1.0, 1.0))
    turned = np.array([[1.0, 0.0], [0.6, 0.8]])
    worst, centred = cosines(turned, expected)
    assert worst == pytest.approx(0.8)
    assert centred == pytest.approx(0.1 / 0.1**0.5 / 0.5**0.5)  # of (0.1, 0.3) and (-0.5, 0.5)
    assert math.isnan(cosines(turned[:1], expected[:1])[1])


class Clock:
    """A contestant whose runs take what they are told, and that tells whose turn it was."""

    def __init__(self, name: str, milliseconds: float, turns: list[str]) -> None:
        self.name, self.milliseconds, self.turns = name, milliseconds, turns

    def ask(self, line: str) -> str:
        assert line == "peak"
        return "100"

    def run(self, kind: str, n: int, calls: int) -> list[float]:
        self.turns.append(self.name)
        return [self.milliseconds] * calls

    def embed(self, kind: str, n: int, out: Path) -> tuple[np.ndarray, float]:
        return np.eye(n, dtype=np.float32), 2e3

    def cpu_seconds(self) -> float:
        return 0.0


def test_who_begins_a_round_changes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rounds, "PAUSE", 0.0)
    turns: list[str] = []
    contestants = {name: Clock(name, ms, turns) for name, ms in (("clipon f32", 2.0), ("torch f32", 8.0))}
    row = dataclasses.replace(next(iter(rows())), batch=2)
    pace = rounds.Pace(3, 0.0, 0.0)
    found = rounds.measure(row, contestants, 1.0, pace, np.eye(2), tmp_path / "unused")
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


def contestant(code: str, logs: Path) -> Contestant:
    return Contestant("peer int8, 1 thread", [sys.executable, "-c", code], {}, logs)


def test_contestants_that_fail_say_why(tmp_path: Path) -> None:
    log = tmp_path / "peer-int8-1-thread.log"
    with pytest.raises(ContestantError) as refused:
        contestant("import nothing_of_this_name", tmp_path)
    assert f"found that it ended; {log}:\n" in str(refused.value)
    assert str(refused.value).endswith("ModuleNotFoundError: No module named 'nothing_of_this_name'")
    one = contestant("print('ready', flush=True); input(); raise MemoryError('too large')", tmp_path)
    for _ in range(2):  # also when it has ended before it is asked
        with pytest.raises(ContestantError) as refused:
            one.ask("run image 1 1")
        assert str(refused.value).startswith(
            "peer int8, 1 thread: run image 1 1: expected an answer, found that it ended"
        )
        assert str(refused.value).endswith("    MemoryError: too large")
        one.process.wait()
    one.close()
    one = contestant("print('ready', flush=True); input(); print('error: no', flush=True); input()", tmp_path)
    with pytest.raises(ContestantError, match=r"expected an answer, found 'error: no'; .* empty"):
        one.ask("run image 1 1")
    one.close()


def test_what_is_made_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "model.xml"

    def half(new: Path) -> None:
        new.write_text("half")
        raise KeyboardInterrupt

    def whole(new: Path) -> None:
        new.write_text("whole")
        new.with_suffix(".bin").write_text("its weights")

    with pytest.raises(KeyboardInterrupt):
        made(path, half)
    assert list(tmp_path.iterdir()) == []
    assert made(path, whole).read_text() == "whole"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.bin", "model.xml"]
    assert made(path, half) == path
    folder = made(tmp_path / "folder", lambda new: new.mkdir())
    assert folder.is_dir()
