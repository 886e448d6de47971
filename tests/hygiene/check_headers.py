#!/usr/bin/env python3
"""Each header compiles alone, without a warning, and the umbrella compiles in time.

    check_headers.py ROOT --compiler g++ [--include DIR]... [--jobs 2]

What xsimd and the intrinsics take is paid once, by a precompiled header, for the headers that reach them.  It hides
nothing: whatever they include, such a header has too, and those that it includes are checked the same way.

A unit that includes clipon.hpp and nothing else must compile at -O2 in MAX_SECONDS of processor time, plain and with
-march=native; that is what every user pays for including us.  A machine on which YARDSTICK takes longer than
YARDSTICK_SECONDS is given as much more.
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Werror"]
MAX_SECONDS = 6.0
YARDSTICK_SECONDS = 5.5
YARDSTICK = """
#include <Eigen/Dense>
#include <iostream>
#include <regex>
bool match(const std::string& s) { return std::regex_match(s, std::regex("a+b")); }
Eigen::VectorXf solve(const Eigen::MatrixXf& a, const Eigen::VectorXf& b) { return a.ldlt().solve(b); }
"""
INCLUDED = re.compile(r'^#include ["<](.+)[">]', re.MULTILINE)
COSTLY = ("immintrin.h", "xsimd/xsimd.hpp")
ATTEMPTS = 8  # whatever else the machine does can only make a compilation look slower


def seconds_to_run(line: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    subprocess.run(line, check=True)
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before


def that_reach(costly: set[str], include: Path, headers: list[Path]) -> set[str]:
    """The names of the headers that include all of `costly`, themselves or through others of ours."""
    included = {
        header.relative_to(include).as_posix(): set(INCLUDED.findall(header.read_text(encoding="utf-8")))
        for header in headers
    }
    reaching = {name for name, names in included.items() if names >= costly}
    while more := {name for name, names in included.items() if names & reaching} - reaching:
        reaching |= more
    return reaching


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--compiler", default="g++")
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    base = [options.compiler, "-std=c++20", "-fopenmp", "-I", str(options.root / "include")]
    for folder in options.include:
        base += ["-isystem", folder]
    include = options.root / "include"
    headers = sorted(include.rglob("*.hpp"))
    reaching = that_reach(set(COSTLY), include, headers)

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        costly = Path(folder) / "costly.hpp"
        costly.write_text("#if defined(__SSE2__)\n" + "".join(f"#include <{name}>\n" for name in COSTLY) + "#endif\n")
        subprocess.run([*base, *WARNINGS, "-x", "c++-header", str(costly), "-o", f"{costly}.gch"], check=True)

        def compile_alone(header: Path) -> str:
            name = header.relative_to(include).as_posix()
            precompiled = ["-Winvalid-pch", "-include", str(costly)] if name in reaching else []
            line = [*base, *WARNINGS, *precompiled, "-fsyntax-only", "-x", "c++", "-"]
            done = subprocess.run(line, input=f'#include "{name}"\n', capture_output=True, text=True, check=False)
            return "" if done.returncode == 0 else f"{name}:\n{done.stderr[:2000]}"

        faults = [fault for fault in pool.map(compile_alone, headers) if fault]
        unit = Path(folder) / "only.cpp"
        unit.write_text("#include <clipon/clipon.hpp>\n")
        yardstick = Path(folder) / "yardstick.cpp"
        yardstick.write_text(YARDSTICK)

        def compile_line(source: Path, flags: list[str]) -> list[str]:
            return [*base, "-O2", *flags, "-c", str(source), "-o", str(source.with_suffix(".o"))]

        for flags in ([], ["-march=native"], ["-DCLIPON_DISPATCH"]):
            seconds = measure = float("inf")
            limit = MAX_SECONDS
            for _ in range(ATTEMPTS):
                seconds = min(seconds, seconds_to_run(compile_line(unit, flags)))
                if seconds <= limit:
                    break
                measure = min(measure, seconds_to_run(compile_line(yardstick, [])))
                limit = MAX_SECONDS * max(1.0, measure / YARDSTICK_SECONDS)
            print(f"clipon.hpp alone, -O2 {' '.join(flags)}: {seconds:.1f} s of {limit:.1f}")
            if seconds > limit:
                faults.append(f"clipon.hpp: {seconds:.1f} s of compilation with {flags}, more than {limit:.1f}")
    print("\n".join(faults) or f"{len(headers)} headers compile alone")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
