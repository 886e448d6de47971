"""bench/compare.py without peers: what it is told, contestants that fail, what is written then, what is made once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(BENCH))

import compare  # noqa: E402
from comparison import report  # noqa: E402
from comparison.contestants import Contestant, ContestantError  # noqa: E402
from comparison.marks import rows  # noqa: E402
from comparison.prepare import made  # noqa: E402
from comparison.rounds import Result  # noqa: E402


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> None:
    """compare.py with programs that need not run, in the place of the venv that has the peers."""
    for tool in compare.tools_in(folder):
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.touch()
    monkeypatch.setattr(compare, "enter_venv", lambda _: None)
    monkeypatch.setattr(compare, "machine", lambda: {"cpu": "a CPU", "cores": 2, "versions": {}})
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
