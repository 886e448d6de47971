"""Processes that stay alive and run when they are told: clipon's bench_server and the peers' worker."""

from __future__ import annotations

import contextlib
import os
import re
import select
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from comparison.prepare import Prepared

PINS = ("NVPL_BLAS_DEBUG_CPU_TYPE", "OPENBLAS_CORETYPE", "CLIPON_ISA", "ONEDNN_MAX_CPU_ISA", "OMP_WAIT_POLICY")
TICKS = os.sysconf("SC_CLK_TCK")
TAIL = 10  # lines of a log that an error quotes
ANSWER_SECONDS = 900.0  # to compile ViT-L/14 takes PyTorch minutes; who takes longer hangs
END_SECONDS = 30.0  # to end when told to


@dataclass(frozen=True)
class Tools:
    """Where the built programs and the prepared files are."""

    server: Path
    clipon: Path
    folder: Path
    logs: Path  # where contestants' messages go


class ContestantError(Exception):
    """A runtime that did not start, ended, or answered with an error."""


class Contestant:
    """One runtime with one model."""

    def __init__(self, name: str, line: list[object], environment: dict[str, str], logs: Path) -> None:
        self.name = name
        self.log = logs / (re.sub(r"[^\w.]+", "-", name) + ".log")
        env = {key: value for key, value in os.environ.items() if key not in PINS} | environment
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(part) for part in line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, env=env,
            )  # fmt: skip
        command = " ".join(map(str, line))
        try:
            answer = self.read(command)
            if answer != "ready":
                raise self.error(f"{command}: expected 'ready'", f"'{answer}'")
        except ContestantError:
            self.close()
            raise

    def error(self, what: str, found: str) -> ContestantError:
        """With the last lines that it wrote, which say more than that it ended."""
        tail = "".join(f"\n    {line}" for line in self.log.read_text(errors="replace").splitlines()[-TAIL:])
        return ContestantError(f"{self.name}: {what}, found {found}; {self.log}:{tail or ' empty'}")

    def read(self, asked: str) -> str:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], ANSWER_SECONDS)[0]:
            self.process.kill()
            raise self.error(f"{asked}: expected an answer", f"none in {ANSWER_SECONDS:g} s")
        answer = self.process.stdout.readline().strip()
        if not answer:
            raise self.error(f"{asked}: expected an answer", "that it ended")
        return answer

    def ask(self, line: str) -> str:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended: reading tells
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        answer = self.read(line)
        if answer.startswith("error"):
            raise self.error(f"{line}: expected an answer", f"'{answer}'")
        return answer

    def run(self, kind: str, n: int, calls: int) -> list[float]:
        return [float(word) for word in self.ask(f"run {kind} {n} {calls}").split()]

    def embed(self, kind: str, n: int, out: Path) -> tuple[np.ndarray, float]:
        """The embeddings, and the milliseconds that they took."""
        milliseconds = float(self.ask(f"embed {kind} {n} {out}"))
        return np.fromfile(out, np.float32).reshape(n, -1), milliseconds

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def close(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_clipon(prepared: Prepared, precision: str, threads: int, isa: str, tools: Tools) -> Contestant:
    name = (
        f"clipon {precision}" + ("" if threads == 2 else f", {threads} thread") + ("" if isa == "best" else f", {isa}")
    )
    contestant = Contestant(name, [tools.server, prepared.gguf, precision, threads, isa], {}, tools.logs)
    contestant.ask(f"pixels {len(prepared.inputs('image'))} {prepared.pixels_file}")
    contestant.ask(f"texts {prepared.texts_file}")
    return contestant


def start_peer(
    spec: str, prepared: Prepared, tower: str, threads: int, environment: dict[str, str], tools: Tools
) -> Contestant:
    runtime, precision = spec.split(":")
    line = [
        sys.executable,
        "-m",
        "comparison.worker",
        runtime,
        precision,
        tower,
        threads,
        tools.folder,
        prepared.arch,
        tools.clipon,
    ]
    path = os.pathsep.join([str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {"PYTHONPATH": path, "OMP_NUM_THREADS": str(threads)} | environment
    return Contestant(f"{runtime} {precision}", line, environment, tools.logs)
