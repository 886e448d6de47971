"""How many cycles a turn of the kernels' inner loops takes on CPUs that are not at hand, by llvm-mca's models of them.

    make arm64    # or a build of build/arm64 alone
    python3 tools/model_loops.py build/arm64/CMakeFiles/clipon_dispatch.dir/dispatch/kernels_neon_i8mm.cpp.o

The model knows ports and latencies, not caches: what it says is what a loop would take with all operands in L1.
Needs llvm-mca 19 (Debian: llvm-19).
"""

from __future__ import annotations

import argparse
import re
import subprocess

CPUS = ("neoverse-n1", "neoverse-v1", "neoverse-n2", "neoverse-v2", "apple-m1")
PRODUCT = re.compile(r"[us]+dot|usmmla|bfmmla|fmla|[us]mlal2?|mla\b")
BRANCH = re.compile(r"(?:b\.\w+|b|cbn?z\s+\w+,|tbn?z\s.*,)\s*([0-9a-f]+)\b")
TURNS = 300


def functions(objdump: str, path: str, pattern: str) -> dict[str, list[tuple[int, str]]]:
    """The instructions, with their addresses, of each function whose name matches."""
    command = [objdump, "-d", "-C", "--no-show-raw-insn", path]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for match in re.finditer(r"^[0-9a-f]+ <(.*)>:\n((?:\s+[0-9a-f]+:.*\n)*)", listing, re.M):
        if not re.search(pattern, match[1]):
            continue
        lines = (line.split(":", 1) for line in match[2].splitlines())
        found[match[1]] = [(int(address, 16), text.split("//")[0].strip()) for address, text in lines]
    return found


def inner_loop(code: list[tuple[int, str]]) -> list[str]:
    """Of the loops without a branch inside, the one with most products; empty if there is none."""
    best: list[str] = []
    for end, text in code:
        branch = BRANCH.match(text)
        if branch is None or int(branch[1], 16) > end:
            continue
        loop = [line for address, line in code if int(branch[1], 16) <= address <= end]
        if sum(BRANCH.match(line) is not None for line in loop) == 1 and products(loop) > products(best):
            best = loop
    return best


def products(loop: list[str]) -> int:
    return sum(PRODUCT.match(line) is not None for line in loop)


def cycles(mca: str, cpu: str, loop: list[str]) -> float:
    """Cycles a turn."""
    text = "\n".join([".L0:", *loop[:-1], re.sub(r"[0-9a-f]+ <.*>", ".L0", loop[-1])])
    command = [mca, "-mtriple=aarch64", f"-mcpu={cpu}", "-mattr=+i8mm,+bf16,+dotprod", f"-iterations={TURNS}"]
    output = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Total Cycles:\s+(\d+)", output)
    assert found is not None, output
    return int(found[1]) / TURNS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("object")
    parser.add_argument("--functions", default=r"gemm_tile<.*, 6, 3, ", metavar="REGEX")
    parser.add_argument("--objdump", default="aarch64-linux-gnu-objdump")
    parser.add_argument("--mca", default="llvm-mca-19")
    args = parser.parse_args()
    print("| loop | products | instructions | cycles: " + " | ".join(CPUS) + " |")
    print("| --- " * (3 + len(CPUS)) + "|")
    for name, code in functions(args.objdump, args.object, args.functions).items():
        loop = inner_loop(code)
        if loop:
            row = [f"{cycles(args.mca, cpu, loop):.1f}" for cpu in CPUS]
            short = re.sub(r"\([\w:]+\)(?=\d)|clipon::\w+::\w+::|^void ", "", name)
            print("| " + " | ".join([short.split("(")[0], str(products(loop)), str(len(loop)), *row]) + " |")


if __name__ == "__main__":
    main()
