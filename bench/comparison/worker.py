"""A peer in its own process: python -m comparison.worker RUNTIME PRECISION TOWER THREADS FOLDER ARCH CLIPON.

Speaks bench_server's language on its standard input and output: "run KIND N CALLS", "embed KIND N OUT".
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from comparison.prepare import Prepared

Run = Callable[[np.ndarray], np.ndarray]


def onnxruntime_runner(prepared: Prepared, tower: str, precision: str, threads: int, batch: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_free_dimension_override_by_name("batch", batch)
    session = onnxruntime.InferenceSession(
        str(prepared.onnx(tower, precision)), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: session.run(None, {"input": x})[0]


def openvino_runner(prepared: Prepared, tower: str, precision: str, threads: int, batch: int) -> Run:
    import openvino

    core = openvino.Core()
    model = core.read_model(prepared.openvino(tower, precision))
    shape = model.inputs[0].get_partial_shape()
    model.reshape({model.inputs[0]: [batch, *[d.get_length() if d.is_static else -1 for d in list(shape)[1:]]]})
    config = {
        "INFERENCE_PRECISION_HINT": "f32" if precision == "f32" else "bf16",  # what int8 leaves runs in bf16
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(model, "CPU", config).create_infer_request()
    return lambda x: next(iter(request.infer([x], share_inputs=True).values()))


def torch_runner(prepared: Prepared, tower: str, precision: str, threads: int, compiled: bool) -> Run:
    import torch

    torch.set_num_threads(threads)
    if precision == "bf16":
        prepared.torch_model = type(prepared.torch_model)(prepared.torch_model.checkpoint, torch.bfloat16)
    module = prepared.tower(tower).eval()
    call = torch.compile(module) if compiled else module
    kind = torch.bfloat16 if precision == "bf16" and tower == "image" else None

    # compiled code's guards refuse weights that were made outside inference mode
    @(torch.no_grad() if compiled else torch.inference_mode())
    def run(x: np.ndarray) -> np.ndarray:
        return call(torch.from_numpy(x).to(kind)).float().numpy()

    return run


def make_runner(runtime: str, prepared: Prepared, tower: str, precision: str, threads: int, batch: int) -> Run:
    if runtime == "onnxruntime":
        return onnxruntime_runner(prepared, tower, precision, threads, batch)
    if runtime == "openvino":
        return openvino_runner(prepared, tower, precision, threads, batch)
    return torch_runner(prepared, tower, precision, threads, runtime == "torch-compiled")


def main() -> None:
    runtime, precision, tower, threads, folder, arch, clipon = sys.argv[1:]
    prepared = Prepared(arch, Path(folder), Path(clipon))
    inputs = prepared.inputs(tower)
    runners: dict[int, Run] = {}
    answers = os.fdopen(os.dup(1), "w")  # what libraries print, in C++ too, must not look like an answer
    os.dup2(2, 1)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        command, _, count, *rest = line.rstrip("\n").split(maxsplit=3)
        n = int(count)
        try:
            if n not in runners:
                runners[n] = make_runner(runtime, prepared, tower, precision, int(threads), n)
            x = np.ascontiguousarray(inputs[:n])
            times = []
            for _ in range(1 if command == "embed" else int(rest[0])):
                start = time.perf_counter()
                rows = runners[n](x)
                times.append(1e3 * (time.perf_counter() - start))
            if command == "embed":
                np.ascontiguousarray(rows, np.float32).tofile(rest[0])
            print(" ".join(f"{t:.4f}" for t in times), file=answers, flush=True)
        except Exception as error:
            print("error", type(error).__name__, str(error).replace("\n", " ")[:300], file=answers, flush=True)


if __name__ == "__main__":
    main()
