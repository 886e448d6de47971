"""Measures a row: every contestant once a round, in turn, and the peak beside them; ratios are taken within a round.
Each round begins with the next of them."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from comparison.contestants import TICKS, Contestant
from comparison.marks import Row

PAUSE = 0.2  # seconds: threads of the one before may spin a while before they sleep
DISTURBED = 0.04  # of these cores' time in the hands of others: measure again
TRIES = 3
CORES = os.sched_getaffinity(0)
# With PyTorch's float32, the worst embedding's: below it a runtime computes something else, and its rate says nothing.
LEAST_COSINE = {"f32": 0.9999, "bf16": 0.999, "int8": 0.98}


@dataclass
class Pace:
    """How long the whole comparison may take."""

    rounds: int
    seconds: float  # of each contestant, each round
    repeats: float  # seconds left, for all rows together, to measure disturbed runs again


@dataclass
class Result:
    row: Row
    rates: dict[str, list[float]]  # items a second of each round; clipon first
    peaks: list[float]  # GFLOP/s of each round
    gflop: float  # nominal, an item
    cosines: dict[str, tuple[float, float]] = field(default_factory=dict)  # worst, worst about the mean (NaN of one)
    other_load: float = 0.0  # the greatest share of the CPU that others had in a run that counts

    @property
    def ours(self) -> str:
        return next(iter(self.rates))

    def agrees(self, name: str) -> bool:
        return self.cosines[name][0] >= LEAST_COSINE[runtime_and_precision(name)[1]]

    @property
    def peers(self) -> dict[str, list[float]]:
        """The rates of those that compute what they should."""
        return {name: rates for name, rates in self.rates.items() if name != self.ours and self.agrees(name)}

    @property
    def ratio(self) -> float:
        """Median over rounds of clipon's rate over the best peer's; 0 where clipon's embeddings are others."""
        peers = self.peers.values()
        if not self.agrees(self.ours) or not peers:
            return 0.0
        return statistics.median(own / max(best) for own, *best in zip(self.rates[self.ours], *peers, strict=True))

    def share(self, name: str) -> float | None:
        """Of the peak, by the published operations. None where that says nothing: texts, of which few have 77 tokens;
        another precision, fewer threads, or a peer that is not pinned as clipon is."""
        like_ours = runtime_and_precision(name)[1] == self.row.precision and "," not in name and self.row.isa == "best"
        if self.row.tower != "image" or not (name == self.ours or like_ours):
            return None
        return statistics.median(self.rates[name]) * self.gflop / max(self.peaks)


def runtime_and_precision(name: str) -> tuple[str, str]:
    """Of a contestant: "clipon f32, 1 thread" -> clipon, f32."""
    runtime, precision = name.replace(",", "").split()[:2]
    return runtime, precision


def machine_busy() -> float:
    """Seconds that the processors which this process may use have worked."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.removeprefix("cpu").isdigit() and int(name.removeprefix("cpu")) in CORES:
            user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
            total += user + nice + system + irq + softirq + steal
    return total / TICKS


class OtherLoad:
    """How much of these cores others use from now on, where own_seconds() tells what we have used."""

    def __init__(self, own_seconds: Callable[[], float]) -> None:
        self.own_seconds = own_seconds
        self.start, self.busy, self.own = time.perf_counter(), machine_busy(), own_seconds()

    def share(self) -> float:
        elapsed = time.perf_counter() - self.start
        others = (machine_busy() - self.busy) - (self.own_seconds() - self.own)
        return max(others, 0.0) / elapsed / len(CORES)


def timed_run(contestant: Contestant, row: Row, calls: int) -> tuple[float, float]:
    """Items a second by the median call, and the share of the machine that others used meanwhile."""
    time.sleep(PAUSE)
    others = OtherLoad(contestant.cpu_seconds)
    milliseconds = contestant.run(row.kind, row.batch, calls)
    share = others.share()
    return row.batch * 1e3 / statistics.median(milliseconds), share


def undisturbed_run(contestant: Contestant, row: Row, calls: int, pace: Pace) -> tuple[float, float]:
    """The least disturbed of up to TRIES runs, of one where the time for repeats is up."""
    best = timed_run(contestant, row, calls)
    for _ in range(TRIES - 1):
        if best[1] <= DISTURBED or pace.repeats <= 0:
            break
        start = time.perf_counter()
        best = min(best, timed_run(contestant, row, calls), key=lambda run: run[1])
        pace.repeats -= time.perf_counter() - start
    return best


def measure(
    row: Row, contestants: dict[str, Contestant], gflop: float, pace: Pace, reference: np.ndarray, scratch: Path
) -> Result:
    """`contestants`: clipon's first.  `reference`: the row's embeddings; `scratch`: a file for what is found."""
    result = Result(row, {name: [] for name in contestants}, [], gflop)
    calls = {}
    for name, contestant in contestants.items():
        found, warm = contestant.embed(row.kind, row.batch, scratch)
        result.cosines[name] = cosines(found, reference)
        if warm < 1e3 or "compiled" in name:  # a short call's first is slower than the rest, and one that compiles
            warm = contestant.run(row.kind, row.batch, 1)[0]
        calls[name] = max(1, math.ceil(1e3 * pace.seconds / warm))
    ours = next(iter(contestants.values()))
    turns = list(contestants.items())
    for _ in range(pace.rounds):
        time.sleep(PAUSE)
        result.peaks.append(float(ours.ask("peak")))
        for name, contestant in turns:
            rate, others = undisturbed_run(contestant, row, calls[name], pace)
            result.rates[name].append(rate)
            result.other_load = max(result.other_load, others)
        turns = turns[1:] + turns[:1]
    return result


def cosines(found: np.ndarray, expected: np.ndarray) -> tuple[float, float]:
    """The worst row's cosine, as they are and after the mean of the expected rows is taken from both."""

    def worst(a: np.ndarray, b: np.ndarray) -> float:
        return float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())

    a, b = (
        x / np.linalg.norm(x, axis=1, keepdims=True) for x in (found.astype(np.float64), expected.astype(np.float64))
    )
    return worst(a, b), worst(a - b.mean(0), b - b.mean(0)) if len(b) > 1 else math.nan
