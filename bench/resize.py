#!/usr/bin/env python3
"""clipon's preprocessing against Pillow's, one thread each, interleaved; the pixels must be the same bytes.

Usage: bench/resize.py build/bench/bench/bench_resize [--json]
Under a Python that has Pillow-SIMD instead, against that, whose bytes differ a little from Pillow's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import __version__ as pillow_version

SIZES = ((640, 480), (1000, 872), (4000, 3000))
ROUNDS = 7


def pillow_pixels(picture: Image.Image, size: int = 224) -> Image.Image:
    """Short side to `size`, then the middle: what CLIP's preprocess does before ToTensor."""
    width, height = picture.size
    short = min(width, height)
    width, height = int(size * width / short), int(size * height / short)
    resized = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return resized.crop((left, top, left + size, top + size))


def repeats(width: int, height: int) -> int:
    """How often a round resizes a picture: 60 million pixels, some 50 ms, which one interruption does not outweigh."""
    return max(10, 60_000_000 // (width * height))


def pillow_milliseconds(picture: Image.Image) -> float:
    times = []
    for _ in range(repeats(*picture.size)):
        start = time.perf_counter()
        pillow_pixels(picture)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


@dataclass(frozen=True)
class Found:
    """Milliseconds at best; the ratio is the median of the rounds'."""

    ours: float
    theirs: float
    ratio: float
    identical: bool


def compare(program: Path, width: int, height: int) -> Found:
    noise = np.random.default_rng(0).integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "picture.bmp", Path(folder) / "out"
        picture.save(file)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(pillow_milliseconds(picture))
            line = [program, file, str(repeats(width, height)), out]
            lines = subprocess.run(line, check=True, capture_output=True, text=True)
            ours.append(statistics.median(float(line) for line in lines.stdout.split()))
        same = out.read_bytes() == pillow_pixels(picture).tobytes()
    return Found(min(ours), min(theirs), statistics.median(b / a for a, b in zip(ours, theirs, strict=True)), same)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--json", action="store_true", help="print that instead of a table")
    options = parser.parse_args()
    program = options.program.resolve()
    if options.json:
        sizes = {f"{width} x {height}": asdict(compare(program, width, height)) for width, height in SIZES}
        print(json.dumps({"version": pillow_version, "sizes": sizes}))
        return
    print(f"picture      clipon ms   Pillow {pillow_version} ms   ratio   bytes")
    for width, height in SIZES:
        found = compare(program, width, height)
        print(f"{width:4} x {height:<5} {found.ours:10.3f} {found.theirs:18.3f} {found.ratio:7.2f}   ", end="")
        print("identical" if found.identical else "DIFFERENT")


if __name__ == "__main__":
    main()
