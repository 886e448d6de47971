#!/usr/bin/env python3
"""Each source that a build without presets compiles, compiles alone: the presets join them to unity files, where one
finds what another includes.

    check_sources.py ROOT FOLDER... --compiler g++ [--jobs 2]
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


def without_output(line: list[str]) -> list[str]:
    at = line.index("-o")
    return [line[0], "-fsyntax-only", "-Werror", *line[1:at], *line[at + 2 :]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    root = options.root.resolve()

    def compile_alone(source: Path, line: list[str], folder: str) -> str:
        done = subprocess.run(without_output(line), cwd=folder, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"{source}:\n{done.stderr[:2000]}"

    with tempfile.TemporaryDirectory() as build, ThreadPoolExecutor(options.jobs) as pool:
        configure = ["cmake", "-S", str(root), "-B", build, "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON"]
        subprocess.run([*configure, f"-DCMAKE_CXX_COMPILER={options.compiler}"], check=True, capture_output=True)
        commands = json.loads((Path(build) / "compile_commands.json").read_text(encoding="utf-8"))
        lines = {}
        for command in commands:
            source = Path(command["file"])
            if any(source.is_relative_to(root / folder) for folder in options.folders):
                lines[source.relative_to(root)] = shlex.split(command["command"])
        faults = [fault for fault in pool.map(compile_alone, lines, lines.values(), [build] * len(lines)) if fault]
    print("\n".join(faults) or f"{len(lines)} sources compile alone")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
