#!/usr/bin/env python3
"""House rules that a compiler does not check.

    check_hygiene.py ROOT [--objects "a.o;b.o"] [--callers "c.o"] [--nm nm]

Layers of #include lines, forbidden calls in the library, sizes of files; for the per-ISA objects of
libclipon_dispatch.a, that every symbol that other units could see carries its ISA's name; and for objects that load a
model with clipon::dispatch, that they leave towers and tokenizer to that library.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# folder or public header -> layer; a file includes its own folder and lower layers only
LAYERS = {
    "core": 0, "error.hpp": 0, "options.hpp": 0,
    "simd": 1, "parallel": 1, "tensor": 1,
    "kernels": 2, "kernels/micro": 2,
    "nn": 3, "image": 3, "text": 3, "format": 3,
    "models": 4, "image.hpp": 4,
    "model.hpp": 5, "model_calls.hpp": 5, "demo_model.hpp": 5, "batch.hpp": 5, "cpu_report.hpp": 5,
    "similarity.hpp": 6, "zero_shot.hpp": 6, "linear_probe.hpp": 6, "search.hpp": 6,
    "similarity": 6, "zero_shot": 6, "linear_probe": 6, "search": 6,
    "clipon.hpp": 7,
}  # fmt: skip
STRANGERS = {"nn", "image", "text", "format"}  # the same layer, but they never include each other
MICRO_MAY_SEE = {"core", "simd", "kernels/micro", "options.hpp"}
MICRO_TYPES = {"kernels/types.hpp"}  # plain structs that both sides of the table share
FORBIDDEN = (
    r"\babort\s*\(", r"\bexit\s*\(", r"\bprintf\s*\(", r"\bfprintf\s*\(", r"\bputs\s*\(", r"std::c(out|err|log)\b",
    r"\bassert\s*\(", r"<regex>", r"<iostream>", r"<format>", r"<ranges>", r"\bterminate\s*\(", r"\bsystem\s*\(",
    r"\b(quick_exit|_exit|_Exit|at_?exit|atexit|raise|signal|sigaction|longjmp|setjmp)\s*\(",  # the process is not ours
    r"\b(f?put[cs]|putchar|perror|vf?printf|v?sprintf)\s*\(",  # nor are its streams
    r"\b(setenv|putenv|unsetenv|setlocale|srand|rand|chdir|umask)\s*\(",  # nor its state
    r"\b(strcpy|strcat|strtok|gets|alloca|sscanf|ato[ilf]|strtou?l|strtod|sto[idlf]+)\s*\(",  # nor trust its data
)  # fmt: skip
FLOATING_STATE = r"\b(_mm_setcsr|fesetround|feholdexcept|fesetenv|feenableexcept|__builtin_ia32_ldmxcsr)\s*\("
MAY_SET_FLOATING_STATE = {"core/floating_point.hpp"}
MUTABLE_GLOBAL = re.compile(r"^inline\s+(?!const|thread_local)(?!.*\()[\w:<>,\s*&]+\s\w+\s*(=|;|\{)")
MUTABLE_STATIC = re.compile(r"^\s*(inline\s+)?(static|thread_local)\s+(?!const)(?!.*\()[\w:<>,\s*&]+\w+\s*(=|;|\{)")
ALLOWED_STATIC = {"image/stb.hpp"}  # the decoder's byte budget: one RAII-scoped thread_local
GENERATED = {"text/unicode_tables.hpp"}
BODIES = r"(\w+ )?clipon::\w+::(kernels|models|nn|text)::"  # nothing that a caller should compile
MAX_LINES = 400


def place(path: str) -> str:
    """The layer's name of include/clipon/PATH."""
    return path if "/" not in path else path.rsplit("/", 1)[0]


def layer_faults(root: Path) -> Iterator[str]:
    base = root / "include/clipon"
    for file in sorted(base.rglob("*.hpp")):
        name = file.relative_to(base).as_posix()
        own = place(name)
        if own not in LAYERS:
            yield f"{name}: folder or public header '{own}' has no layer in check_hygiene.py"
            continue
        for target in re.findall(r'#include "clipon/([^"]+)"', file.read_text()):
            other = place(target)
            if other == own or target.endswith(".inc"):
                continue
            upwards = LAYERS.get(other, 99) > LAYERS[own]
            stranger = LAYERS.get(other) == LAYERS[own] and {own, other} <= STRANGERS
            if upwards or stranger:
                yield f"{name} (layer {LAYERS[own]}) includes {target} (layer {LAYERS.get(other)})"
            if own == "kernels/micro" and other not in MICRO_MAY_SEE and target not in MICRO_TYPES:
                yield f"{name}: a per-ISA header includes {target}"


def content_faults(root: Path) -> Iterator[str]:
    base = root / "include/clipon"
    for file in sorted(base.rglob("*.hpp")):
        name = file.relative_to(base).as_posix()
        lines = file.read_text().splitlines()
        if len(lines) > MAX_LINES and name not in GENERATED:
            yield f"{name}: {len(lines)} lines; look for the concept that wants its own file"
        if not lines[0].startswith("//") or not re.search(r"^#pragma once$", "\n".join(lines), re.MULTILINE):
            yield f"{name}: expected opening lines that say what it is, and #pragma once"
        for number, line in enumerate(lines, 1):
            code = line.split("//")[0]
            for pattern in FORBIDDEN:
                if re.search(pattern, code):
                    yield f"{name}:{number}: {pattern} has no place in the library: {line.strip()}"
            if re.search(FLOATING_STATE, code) and name not in MAY_SET_FLOATING_STATE:
                yield f"{name}:{number}: sets floating-point state: {line.strip()}"
            if (MUTABLE_STATIC.match(code) or MUTABLE_GLOBAL.match(code)) and name not in ALLOWED_STATIC:
                yield f"{name}:{number}: mutable static: {line.strip()}"


def text_faults(root: Path) -> Iterator[str]:
    listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True, check=False).stdout
    for name in listed.splitlines():
        file = root / name
        if file.suffix not in {".hpp", ".cpp", ".py", ".md", ".txt", ".cmake", ".json", ".in", ".toml", ""}:
            continue
        if not file.is_file() or file.stat().st_size > 1 << 20 or "golden" in file.parts:
            continue
        content = file.read_bytes()
        if b"/" + b"work/" in content:
            yield f"{name}: names a path of one machine"


def symbols(path: str, nm: str) -> tuple[list[str], list[str]]:
    """Of the symbols that units share, those that this one defines and those that it takes from others."""
    output = subprocess.run([nm, "-C", path], capture_output=True, text=True, check=True).stdout
    shared = [line for line in output.splitlines() if line[17:18].isupper() or line[17:18] in "wvu"]
    defined = [line[19:] for line in shared if not line.startswith(" ")]
    taken = [line[19:] for line in shared if line.startswith(" ")]
    return defined, taken


def symbol_faults(objects: list[str], nm: str) -> Iterator[str]:
    for path in objects:
        tag = re.sub(r"^kernels_|\.cpp\.o$", "", Path(path).name)
        defined, _ = symbols(path, nm)
        if not defined:
            yield f"{path}: expected symbols, found none"
        for symbol in defined:
            if not re.search(rf"simd::{tag}\b", symbol):
                yield f"{path}: symbol without '{tag}': {symbol}"


def caller_faults(objects: list[str], nm: str) -> Iterator[str]:
    for path in objects:
        defined, taken = symbols(path, nm)
        if not any("Model::load_from_memory" in symbol for symbol in taken):
            yield f"{path}: expected a model loaded by libclipon_dispatch.a, found no call of it"
        for symbol in defined:
            if re.match(BODIES, symbol):
                yield f"{path}: compiles what libclipon_dispatch.a has: {symbol}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--objects", default="", help="per-ISA objects of libclipon_dispatch.a")
    parser.add_argument("--callers", default="", help="objects of a program that loads a model with clipon::dispatch")
    parser.add_argument("--nm", default="nm", help="the one that reads these objects")
    options = parser.parse_args()
    objects, callers = ([path for path in paths.split(";") if path] for paths in (options.objects, options.callers))
    faults = [*layer_faults(options.root), *content_faults(options.root), *text_faults(options.root)]
    faults += [*symbol_faults(objects, options.nm), *caller_faults(callers, options.nm)]
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults, {len(objects) + len(callers)} objects looked through")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
