"""What a run measures: every row with its contestants, then the other work.  What fails is told; the rest goes on."""

from __future__ import annotations

import functools
import math
import re
import subprocess
from pathlib import Path

from comparison.contestants import Contestant, ContestantError, Tools, start_clipon, start_peer
from comparison.marks import Row
from comparison.other_work import Work, measured_alone, pillow_simd
from comparison.prepare import Prepared
from comparison.results import Results
from comparison.rounds import Pace, measure


def prepare_all(tools: Tools, chosen: list[Row], others: dict[str, Work]) -> None:
    """Everything that rows and other work need, before anything is timed."""
    if "resize" in others:
        pillow_simd(tools)
    for row in chosen:
        ready = Prepared(row.arch, tools.folder, tools.clipon)
        _ = ready.gguf, ready.pixels_file, ready.inputs_file, ready.reference(row.tower)
        for spec in row.peers:
            runtime, precision, *_ = spec.split(":")
            if runtime == "onnxruntime":
                ready.onnx(row.tower, precision)
            elif runtime == "openvino":
                ready.openvino(row.tower, precision)


def pace_of(full: bool, rounds: int | None) -> Pace:
    if full:
        return Pace(rounds or 5, seconds=1.0, repeats=math.inf)
    return Pace(rounds or 3, seconds=0.3, repeats=30)


class Group:
    """The contestants of the last row, kept for the next one where it wants the same."""

    def __init__(self) -> None:
        self.key: object = None
        self.contestants: dict[str, Contestant] = {}

    def of(self, row: Row, prepared: Prepared, tools: Tools) -> dict[str, Contestant]:
        """By their names, clipon's first."""
        key = (row.arch, row.tower, row.precision, row.isa, row.threads, row.peers, row.peer_environment)
        if key != self.key:
            self.close()
            self.add(start_clipon(prepared, row.precision, row.threads, row.isa, tools))
            for spec in row.peers:
                if spec.startswith("clipon:"):
                    _, precision, threads = spec.split(":")
                    self.add(start_clipon(prepared, precision, int(threads), row.isa, tools))
                else:
                    environment = dict(row.peer_environment)
                    self.add(start_peer(spec, prepared, row.tower, row.threads, environment, tools))
            self.key = key
        return self.contestants

    def add(self, contestant: Contestant) -> None:
        self.contestants[contestant.name] = contestant

    def close(self) -> None:
        for contestant in self.contestants.values():
            contestant.close()
        self.key, self.contestants = None, {}


@functools.cache
def nominal_gflop(clipon: Path, arch: str) -> dict[str, float]:
    """What `clipon bench` counts, a picture and a text."""
    line = [clipon, "bench", "--arch", arch, "--tower", "text", "--batch", "1", "--seconds", "0"]
    head = subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()[0]
    picture, text = re.findall(r"([\d.]+) GFLOP a picture, ([\d.]+) a text", head)[0]
    return {"image": float(picture), "text": float(text), "short_text": float(text)}


def measure_rows(tools: Tools, chosen: list[Row], pace: Pace, found: Results) -> None:
    group = Group()
    try:
        for row in chosen:
            ready = Prepared(row.arch, tools.folder, tools.clipon)
            gflop = nominal_gflop(tools.clipon, row.arch)[row.tower]
            reference = ready.reference(row.tower)[: row.batch]
            try:
                contestants = group.of(row, ready, tools)
                found.add(measure(row, contestants, gflop, pace, reference, tools.folder / "embeddings.f32"))
            except ContestantError as error:
                group.close()
                found.fail(row.name, row.ratio.get(found.kind), str(error))
    finally:
        group.close()


def measure_others(tools: Tools, others: dict[str, Work], full: bool, found: Results) -> None:
    for name, work in others.items():
        try:
            found.show(measured_alone(work, tools, full))
        except ContestantError as error:
            found.fail(name, None, str(error))
        except subprocess.CalledProcessError as error:
            found.fail(name, None, f"{error}\n{error.stderr or ''}")
