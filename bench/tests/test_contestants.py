"""Contestants that fail or hang, and the files that they are given."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
from comparison import contestants, prepare
from comparison.contestants import Contestant, ContestantError
from comparison.prepare import made


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


def test_a_contestant_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(contestants, "ANSWER_SECONDS", 1.0)
    with pytest.raises(ContestantError, match="expected an answer, found none in 1 s"):
        contestant("import time; time.sleep(60)", tmp_path)
    monkeypatch.setattr(contestants, "END_SECONDS", 0.1)
    monkeypatch.setattr(contestants, "ANSWER_SECONDS", 60.0)
    one = contestant("print('ready', flush=True); import time; time.sleep(60)", tmp_path)
    one.close()
    assert one.process.returncode == -signal.SIGKILL


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


def test_models_made_from_something_else_are_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "RN50"
    folder.mkdir()
    prepare.forget_what_others_made(folder, "torch 1")
    (folder / "model").touch()
    prepare.forget_what_others_made(folder, "torch 1")
    assert (folder / "model").is_file()
    prepare.forget_what_others_made(folder, "torch 2")
    assert [file.name for file in folder.iterdir()] == ["made_from"]
    (tmp_path / "mine").touch()
    with pytest.raises(FileExistsError, match=r"expected a folder that compare\.py has made"):
        prepare.forget_what_others_made(tmp_path, "torch 2")
    assert (tmp_path / "mine").is_file()
