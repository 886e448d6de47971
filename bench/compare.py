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
import datetime
import importlib.metadata
import os
import platform
import re
import signal
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
    parser.add_argument("--rounds", type=int, default=None, help="of each row: 3, with --full 5")
    parser.add_argument("--build", type=Path, default=ROOT / "build/bench", help="where clipon and bench/ were built")
    parser.add_argument("--work", type=Path, default=ROOT / "build/compare", help="venv, models and results")
    parser.add_argument("--out", type=Path, default=None, help="where the results go; --work when absent")
    options = parser.parse_args()
    try:
        re.compile(options.rows)
    except re.error as error:
        parser.error(f"--rows: expected a regular expression, found '{options.rows}': {error}")
    if options.rounds is not None and options.rounds < 1:
        parser.error(f"--rounds: expected 1 or more, found {options.rounds}")
    for option, folder in (("--work", options.work), ("--out", (options.out or options.work) / "logs")):
        try:  # before minutes of measuring
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            parser.error(f"{option}: expected a folder to write to, found '{folder}': {error.strerror}")
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
    complete, wanted = folder / "complete", "\n".join(" ".join(packages) for packages in PEERS)
    if not complete.is_file() or complete.read_text() != wanted:
        print(f"installing the peers in {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        for packages in PEERS:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        complete.write_text(wanted)
    os.execv(python, [str(python), *sys.argv])


def machine(clipon: Path) -> dict[str, object]:
    """What the figures hold for, and when."""
    cpu = {key.strip(): value.strip() for key, _, value in
           (line.partition(":") for line in Path("/proc/cpuinfo").read_text().splitlines())}  # fmt: skip
    version = subprocess.run([clipon, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return {
        "clipon": version,
        "cpu": f"{cpu.get('model name')} (family {cpu.get('cpu family')}, model {cpu.get('model')})",
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.platform(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
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


def main() -> None:
    options = parse()
    enter_venv(options.work / "venv")
    sys.path.insert(0, str(HERE))
    from comparison import report
    from comparison.contestants import Tools
    from comparison.marks import machine_kind
    from comparison.results import Results
    from comparison.work import measure_others, measure_rows, pace_of, prepare_all

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what is measured is written then, too
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
    pace = pace_of(options.full, options.rounds)
    rounds = {"rounds": pace.rounds, "seconds_of_a_round": pace.seconds}
    found = Results(kind, machine(tools.clipon) | {"kind": kind} | rounds)
    about = found.about
    print(
        f"{about['cpu']}, {about['cores']} cores, machine kind {kind}; {about['versions']}\n\n{report.HEAD}", flush=True
    )
    try:
        measure_rows(tools, chosen, pace, found)
        measure_others(tools, others, options.full, found)
        kinds = {"A": "A (AVX-512 without AMX)", "B": "B (AMX)", "C": "C (AVX2 without AVX-512)"}
        missing = ", ".join(text for name, text in kinds.items() if name != kind)
        print(f"\nRows of machine kinds {missing} are open: this is not one. {time.monotonic() - start:.0f} s")
    finally:  # whatever ends it: rows before that took minutes each
        found.write(out)
    if found.failed:
        sys.exit(f"compare.py: not measured: {', '.join(found.failed)}")


if __name__ == "__main__":
    main()
