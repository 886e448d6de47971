"""What happens around a conversion: signals, a standard output that is full, names of any bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from conftest import CONVERTER, HERE, convert, field, huggingface_folder, nothing_left, run


def terminate(name: str, before: str = "") -> str:
    """The converter, which gets a signal while it writes."""
    kill = f"gguf.GGUFWriter.write_tensors_to_file = lambda *_, **__: os.kill(os.getpid(), signal.{name})"
    return f"import os, runpy, signal, gguf\n{before}\n{kill}\n{CONVERTER}"


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [("SIGTERM", 143, ""), ("SIGHUP", 129, ""), ("SIGINT", 130, "clipon_convert: interrupted\n")],
)
def test_a_terminated_conversion_leaves_nothing_behind(
    source: Path, bpe: Path, tmp_path: Path, name: str, code: int, told: str
) -> None:
    before = set(os.listdir(tmp_path))
    done = run(terminate(name), source, tmp_path / "out.gguf", "--bpe", bpe)
    assert (done.returncode, done.stderr) == (code, told)
    assert nothing_left(tmp_path, before)


def test_under_nohup_it_goes_on(source: Path, bpe: Path, tmp_path: Path) -> None:
    ignore = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    assert run(terminate("SIGHUP", ignore), source, tmp_path / "out.gguf", "--bpe", bpe).returncode == 0


def test_a_standard_output_that_is_full(source: Path, bpe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    line = [sys.executable, "-m", "clipon_convert", str(source), str(out), "--bpe", str(bpe), "--activation", "gelu"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(line, cwd=HERE.parent, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("clipon_convert: standard output: expected to write '")
    assert done.stderr.endswith("failed: No space left on device\n")
    assert out.is_file()


def test_names_of_sources(weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path) -> None:
    """Bytes that are no UTF-8; the folder where one is; a link by its own name, not that of what it leads to."""
    odd, out = tmp_path / os.fsdecode(b"caf\xe9.safetensors"), tmp_path / "out.gguf"
    save_file(weights, tmp_path / "plain")
    (tmp_path / "plain").rename(odd)
    done = convert(odd, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert field(out, "clipon.source") == "caf\N{REPLACEMENT CHARACTER}.safetensors (OpenAI parameter names)"
    named = tmp_path / os.fsdecode(b"caf\xe9.gguf")
    done = run(f"import runpy; {CONVERTER}", odd, named, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path}/caf\\udce9.gguf: ")
    link = tmp_path / "link.safetensors"
    link.symlink_to(odd)
    assert convert(link, out, "--bpe", bpe).returncode == 0
    assert field(out, "clipon.source") == "link.safetensors (OpenAI parameter names)"
    folder = huggingface_folder(weights, tmp_path / "model")
    line = [sys.executable, "-m", "clipon_convert", ".", str(out), "--quiet"]
    subprocess.run(line, cwd=folder, env=os.environ | {"PYTHONPATH": str(HERE.parent)}, check=True)
    assert field(out, "clipon.source") == "model (Hugging Face CLIPModel)"
