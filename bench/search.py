#!/usr/bin/env python3
"""clipon's exact search against FAISS's flat indexes, top 10 of 1,000,000 x 512, interleaved.

clipon searches on all threads; FAISS answers one query on one, whatever it is given.

Usage: bench/search.py build/release/bench/bench_search      (needs pip install faiss-cpu numpy)
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from pathlib import Path

import faiss
import numpy as np

ROWS, WIDTH, TOP, ROUNDS, REPEATS = 1_000_000, 512, 10, 3, 5


def faiss_milliseconds(index: faiss.Index, query: np.ndarray) -> float:
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        index.search(query, TOP)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    program = parser.parse_args().program.resolve()
    faiss.omp_set_num_threads(len(os.sched_getaffinity(0)))
    some = np.random.default_rng(1).standard_normal((1000, WIDTH), dtype=np.float32)
    inner = faiss.METRIC_INNER_PRODUCT
    half = faiss.IndexScalarQuantizer(WIDTH, faiss.ScalarQuantizer.QT_fp16, inner)
    indexes = {"f32": faiss.IndexFlatIP(WIDTH), "f16": half}
    for index in indexes.values():
        index.train(some)
        for _ in range(ROWS // len(some)):
            index.add(some)
    for _ in range(ROUNDS):
        done = subprocess.run(
            [program, str(ROWS), str(WIDTH), str(REPEATS)], check=True, capture_output=True, text=True
        )
        print(done.stdout, end="")
        for name, index in indexes.items():
            print(f"{name:5} FAISS {faiss.__version__} {faiss_milliseconds(index, some[17:18]):7.2f} ms")


if __name__ == "__main__":
    main()
