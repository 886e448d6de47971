"""bench/compare.py without peers: what it is told, rows that fail, what is written then."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import compare
import numpy as np
import pytest
from comparison import report, rounds, work
from comparison.contestants import ContestantError
from comparison.results import Results
from made_up import Clock, result


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> None:
    """compare.py with programs that need not run, in the place of the venv that has the peers."""
    for tool in compare.tools_in(folder):
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.touch()
    monkeypatch.setattr(compare, "enter_venv", lambda _: None)
    monkeypatch.setattr(compare, "machine", lambda _: {"cpu": "a CPU", "cores": 2, "versions": {}})
    monkeypatch.setattr(work, "prepare_all", lambda *_: None)
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


@pytest.mark.parametrize(("option", "value"), [("--rounds", "0"), ("--rounds", "-1"), ("--out", "/dev/null/x")])
def test_arguments_that_mean_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    with pytest.raises(SystemExit) as refused:
        run(monkeypatch, tmp_path, option, value)
    assert refused.value.code == 2
    assert f"{option}: expected " in capsys.readouterr().err


@pytest.mark.parametrize("measured", [0, 1])
def test_what_was_measured_before_the_end_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, measured: int
) -> None:
    def end(_tools: object, _chosen: object, _pace: object, found: Results) -> None:
        for _ in range(measured):
            found.add(result())
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    (tmp_path / "compare.md").write_text("of an earlier run")
    monkeypatch.setattr(work, "measure_rows", end)
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, tmp_path, "--rows", "B/32")
    signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
    text = (tmp_path / "compare.md").read_text()
    assert (f"| {result().row.name} |" in text) if measured else (text == "of an earlier run")
    assert (tmp_path / "compare.json").is_file() == bool(measured)


def test_a_row_that_fails_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    started: list[str] = []

    def start(name: str) -> Clock:
        started.append(name)
        if name == "openvino bf16":
            raise ContestantError(f"{name}: it ended\n    its last words")
        one = Clock(name, 1.0, [])
        if name == "openvino int8" and started.count(name) == 1:
            one.embed = lambda *_: one.fail("it ended, too")
        return one

    class Ready:
        def __init__(self, *_: object) -> None: ...

        def reference(self, _tower: str) -> np.ndarray:
            return np.eye(64)

    monkeypatch.setattr(rounds, "PAUSE", 0.0)
    monkeypatch.setattr(work, "Prepared", Ready)
    monkeypatch.setattr(work, "nominal_gflop", lambda *_: dict.fromkeys(("image", "text", "short_text"), 1.0))
    monkeypatch.setattr(work, "start_clipon", lambda _, precision, *__: start(f"clipon {precision}"))
    monkeypatch.setattr(work, "start_peer", lambda spec, *_: start(spec.replace(":", " ")))
    with pytest.raises(SystemExit, match=r"^compare\.py: not measured: ViT-B/32 images, bf16, batch 1, ViT-B/32"):
        run(monkeypatch, tmp_path, "--rows", "B/32 images", "--rounds", "1")
    heard = capsys.readouterr()
    told = {line.split(" | ")[0]: line for line in heard.out.splitlines() if line.startswith("| ViT")}
    assert told["| ViT-B/32 images, bf16, batch 1"].endswith("open: FAILED: openvino bf16: it ended |")
    assert " | 1 x | " in told["| ViT-B/32 images, f32, batch 1"] and len(told) > 6
    assert "openvino bf16: it ended\n    its last words" in heard.err
    assert told["| ViT-B/32 images, int8, batch 1"].endswith("open: FAILED: openvino int8: it ended, too |")
    assert " | 1 x | " in told["| ViT-B/32 images, int8, batch 32"]  # with contestants that were started anew


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
    monkeypatch.setattr(work, "measure_rows", lambda *given: given[-1].add(result(tower)))
    run(monkeypatch, tmp_path, "--rows", "B/32")
    announced = capsys.readouterr().out.splitlines()[-1]
    assert announced == f"{tmp_path}/compare.md, compare.json" + (
        ", compare.svg" if tower == "image" and has_matplotlib else ""
    )
