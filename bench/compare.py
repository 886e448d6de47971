#!/usr/bin/env python3
"""clipon beside OpenVINO, ONNX Runtime and PyTorch: the same weights, inputs and threads, in turn, in one run.

    cmake --preset bench && cmake --build build/bench
    python3 bench/compare.py --quick               # makes a venv with the peers first, then under 8 minutes
    python3 bench/compare.py --full                # ViT-L/14, more ResNets, PyTorch compiled, AMX pinned off, too
    python3 bench/compare.py --rows "B/32.*int8"   # the rows that match

Prints a row for each mark with the ratio (median over rounds of clipon's rate over the best peer's of that round) and
whether it is met; writes compare.md, compare.json and compare.svg.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# What is measured, in the versions of docs/performance.md.  torch first: others would bring in its CUDA build
PEERS = (
    ("torch==2.13.0",),
    ("onnxruntime==1.32.0", "openvino==2026.4.1", "nncf==3.4.0", "onnx==1.23.2", "Pillow==13.0.0"),
    ("transformers", "matplotlib", "numpy", "safetensors", "gguf", "tqdm", "google-crc32c"),
    ("--no-deps", "open_clip_torch"),  # the vocabulary
)
VERSIONS = ("torch", "onnxruntime", "openvino", "nncf", "Pillow")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the rows of ViT-B/32, ViT-B/16 and RN50 (default)")
    parser.add_argument("--full", action="store_true", help="every row, more rounds")
    parser.add_argument("--rows", default="", help="only rows whose name matches this regular expression")
    parser.add_argument("--prepare", action="store_true", help="only make models and inputs")
    parser.add_argument("--rounds", type=int, default=0, help="0: 3, or 5 with --full")
    parser.add_argument("--build", type=Path, default=ROOT / "build/bench", help="where clipon and bench/ were built")
    parser.add_argument("--work", type=Path, default=ROOT / "build/compare", help="venv, models and results")
    parser.add_argument("--out", type=Path, default=None, help="where the results go; --work when absent")
    options = parser.parse_args()
    try:
        re.compile(options.rows)
    except re.error as error:
        parser.error(f"--rows: expected a regular expression, found '{options.rows}': {error}")
    missing = [str(path) for path in tools_in(options.build) if not path.is_file()]
    if missing:  # told now, not after minutes of installing peers
        parser.error(f"not built: {', '.join(missing)} (cmake --preset bench && cmake --build build/bench)")
    return options


def tools_in(build: Path) -> tuple[Path, Path]:
    """The server and the command of a build."""
    return (build / "bench/bench_server").resolve(), (build / "clipon").resolve()


def enter_venv(folder: Path) -> None:
    """Goes on in a venv that has the peers; makes it when it is not there."""
    python = folder / "bin/python"
    if Path(sys.prefix).resolve() == folder.resolve():
        return
    if not (folder / "complete").is_file():
        print(f"installing the peers in {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        for packages in PEERS:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        (folder / "complete").touch()
    os.execv(python, [str(python), *sys.argv])


def machine(clipon: Path) -> dict[str, object]:
    """What the figures hold for."""
    cpu = {key.strip(): value.strip() for key, _, value in
           (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())}  # fmt: skip
    version = subprocess.run([clipon, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return {
        "clipon": version,
        "cpu": f"{cpu.get('model name')} (family {cpu.get('cpu family')}, model {cpu.get('model')})",
        "cores": len(os.sched_getaffinity(0)),
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
    }


def wanted_rows(options: argparse.Namespace, kind: str) -> Iterator:
    from comparison.marks import rows

    for row in rows():
        wanted = re.search(options.rows, row.name) and (options.full or options.rows or not row.full)
        if wanted and ("A" if kind == "other" else kind) in row.ratio:
            yield row if options.full else row.quick(kind)


def chosen_work(options: argparse.Namespace, kind: str) -> tuple[list, dict]:
    """The rows, and the other work by its name, that --rows wants; at least one of them."""
    from comparison.marks import rows
    from comparison.other_work import OTHER_WORK

    chosen = list(wanted_rows(options, kind))
    others = {name: work for name, work in OTHER_WORK.items() if not options.rows or re.search(options.rows, name)}
    if not chosen and not others:
        names = [row.name for row in rows() if ("A" if kind == "other" else kind) in row.ratio] + list(OTHER_WORK)
        found = "".join(f"\n    {name}" for name in names)
        sys.exit(f"compare.py: --rows: expected to match a row, found '{options.rows}'; there are{found}")
    return chosen, others


def start_all(row, prepared, tools) -> dict:  # noqa: ANN001
    from comparison.contestants import start_clipon, start_peer

    started = [start_clipon(prepared, row.precision, row.threads, row.isa, tools)]
    for spec in row.peers:
        if spec.startswith("clipon:"):
            _, precision, threads = spec.split(":")
            started.append(start_clipon(prepared, precision, int(threads), row.isa, tools))
        else:
            started.append(start_peer(spec, prepared, row.tower, row.threads, dict(row.peer_environment), tools))
    return {contestant.name: contestant for contestant in started}


class Group:
    """The contestants of the last row, kept for the next one where it wants the same."""

    def __init__(self) -> None:
        self.key: object = None
        self.contestants: dict = {}

    def of(self, row, prepared, tools) -> dict:  # noqa: ANN001
        key = (row.arch, row.tower, row.precision, row.isa, row.peers, row.peer_environment)
        if key != self.key:
            self.close()
            self.key, self.contestants = key, start_all(row, prepared, tools)
        return self.contestants

    def close(self) -> None:
        for contestant in self.contestants.values():
            contestant.close()
        self.key, self.contestants = None, {}


def nominal_gflop(clipon: Path, arch: str, tower: str) -> float:
    """What `clipon bench` counts."""
    line = [clipon, "bench", "--arch", arch, "--tower", "text", "--batch", "1", "--seconds", "0"]
    head = subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()[0]
    picture, text = (float(x) for x in re.findall(r"([\d.]+) GFLOP a picture, ([\d.]+) a text", head)[0])
    return picture if tower == "image" else text


def measure_rows(options: argparse.Namespace, tools, chosen: list) -> Iterator:  # noqa: ANN001
    from comparison.prepare import Prepared
    from comparison.rounds import Pace, measure

    if options.full:
        pace = Pace(options.rounds or 5, seconds=1.0, repeats=math.inf)
    else:
        pace = Pace(options.rounds or 3, seconds=0.3, repeats=30)
    group, gflop, prepared = Group(), {}, {}
    try:
        for row in chosen:
            ready = prepared.setdefault(row.arch, Prepared(row.arch, tools.folder, tools.clipon))
            key = (row.arch, row.tower)
            gflop.setdefault(key, None)
            gflop[key] = gflop[key] or nominal_gflop(tools.clipon, *key)
            contestants = group.of(row, ready, tools)
            reference = ready.reference(row.tower)[: row.batch]
            yield measure(row, contestants, gflop[key], pace, reference, tools.folder / "embeddings.f32")
    finally:
        group.close()


def prepare_all(tools, chosen: list, others: dict) -> None:  # noqa: ANN001
    """Everything that rows and other work need, before anything is timed."""
    from comparison.other_work import pillow_simd
    from comparison.prepare import Prepared

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


def main() -> None:
    options = parse()
    enter_venv(options.work / "venv")
    sys.path.insert(0, str(HERE))
    from comparison import report
    from comparison.contestants import ContestantError, Tools
    from comparison.marks import machine_kind
    from comparison.results import Results

    out: Path = options.out or options.work
    tools = Tools(*tools_in(options.build), options.work.resolve(), out.resolve() / "logs")
    kind = machine_kind()
    chosen, others = chosen_work(options, kind)
    start = time.monotonic()
    prepare_all(tools, chosen, others)
    print(f"models and inputs: {time.monotonic() - start:.0f} s", file=sys.stderr)
    if options.prepare:
        return
    start = time.monotonic()
    tools.logs.mkdir(parents=True, exist_ok=True)  # and the folder of the results, before minutes of measuring
    found = Results(kind, machine(tools.clipon) | {"kind": kind})
    about = found.about
    print(
        f"{about['cpu']}, {about['cores']} cores, machine kind {kind}; {about['versions']}\n\n{report.HEAD}", flush=True
    )
    try:
        for result in measure_rows(options, tools, chosen):
            found.add(result)
        for work in others.values():
            found.show(work(tools, options.full))
        kinds = {"A": "A (AVX-512 without AMX)", "B": "B (AMX)", "C": "C (AVX2 without AVX-512)"}
        missing = ", ".join(text for name, text in kinds.items() if name != kind)
        print(f"\nRows of machine kinds {missing} are open: this is not one. {time.monotonic() - start:.0f} s")
    except ContestantError as error:
        sys.exit(f"compare.py: {error}")
    finally:  # whatever ends it: rows before that took minutes each
        found.write(out)


if __name__ == "__main__":
    main()
