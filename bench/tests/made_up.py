"""What the tests measure instead of runtimes: a result, and contestants that take the time they are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from comparison.contestants import ContestantError
from comparison.marks import rows
from comparison.rounds import Result


def result(tower: str = "image") -> Result:
    row = next(row for row in rows() if row.tower == tower)
    rates = {"clipon f32": [2.0, 2.0], "openvino f32": [1.0, 1.0]}
    return Result(row, rates, [100.0], 8.8, dict.fromkeys(rates, (1.0, 1.0)))


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
        return np.eye(n, 64, dtype=np.float32), 2e3

    def cpu_seconds(self) -> float:
        return 0.0

    def close(self) -> None: ...

    def fail(self, why: str) -> None:
        raise ContestantError(f"{self.name}: {why}")
