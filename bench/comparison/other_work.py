"""The marks that are no matter of images a second beside a peer: preprocessing, folders, loading, memory."""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import re
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from comparison.contestants import Tools, start_clipon
from comparison.prepare import GOLDEN, Prepared, made
from comparison.report import Line, reasons
from comparison.rounds import DISTURBED, OtherLoad

ARCH = "ViT-B/32"
Work = Callable[[Tools, bool], list[Line]]


def prepared(tools: Tools) -> Prepared:
    return Prepared(ARCH, tools.folder, tools.clipon)


@functools.cache  # one that failed takes long to fail again
def pillow_simd(tools: Tools) -> Path | None:
    """A Python of its own that has Pillow-SIMD, compiled for AVX2; None where it does not install."""
    folder = tools.folder / "pillow-simd"
    python = folder / "bin/python"
    if not (folder / "complete").is_file():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        line = [python, "-m", "pip", "install", "--quiet", "--no-binary", "pillow-simd", "pillow-simd", "numpy"]
        if subprocess.run(line, env=os.environ | {"CC": "cc -mavx2"}, capture_output=True).returncode != 0:
            return None
        (folder / "complete").touch()
    return python


def resize(tools: Tools, full: bool) -> list[Line]:
    lines = resize_under(Path(sys.executable), tools, "Pillow", 5.0, "THE PIXELS DIFFER")
    simd = pillow_simd(tools)
    if simd is None:
        why = "it does not install here: it is compiled, and needs Debian's libjpeg-dev and zlib1g-dev"
        return [*lines, Line("resize, against Pillow-SIMD", "", "", None, 1.0, "x", why=why)]
    return lines + resize_under(simd, tools, "Pillow-SIMD", 1.0, "clipon's bytes are Pillow's, its own are not")


def resize_under(python: Path, tools: Tools, peer: str, mark: float, different: str) -> list[Line]:
    """bench/resize.py under a Python that has the peer; of Pillow itself, other bytes count as a rate of none."""
    script = Path(__file__).resolve().parents[1] / "resize.py"
    program = tools.server.with_name("bench_resize")
    found = json.loads(subprocess.run([python, script, program, "--json"], check=True, capture_output=True).stdout)
    lines = []
    for size in ("4000 x 3000", "640 x 480"):
        one = found["sizes"][size]
        ours, theirs = f"{one['ours']:.3f} ms", f"{peer} {found['version']} {one['theirs']:.3f} ms"
        ratio = 0.0 if peer == "Pillow" and not one["identical"] else one["ratio"]
        why = "" if one["identical"] else different
        lines.append(Line(f"resize {size} to 224, 1 thread, {peer}", ours, theirs, ratio, mark, "x", why=why))
    return lines


def folder_of_jpegs(tools: Tools, full: bool) -> list[Line]:
    """Decode and resize, compute, and both; each on all threads.  Pictures of 640 x 480."""
    count = 64

    def make(folder: Path) -> None:
        folder.mkdir()
        sources = [Image.open(p).convert("RGB") for p in sorted((GOLDEN / "inputs/images").iterdir())]
        for i in range(count):
            picture = sources[i % len(sources)].resize((640, 480), Image.Resampling.BICUBIC)
            picture.save(folder / f"{i:03}.jpg", quality=90)

    folder = made(tools.folder / "jpegs", make)
    lines = []
    for precision in ("f32", "int8") if full else ("int8",):
        clipon = start_clipon(prepared(tools), precision, 2, "best", tools)
        clipon.ask(f"files {folder}")
        clipon.run("file", count, 1)
        rates: dict[str, list[float]] = {"decode": [], "image": [], "file": []}
        for _ in range(5 if full else 3):
            for kind, n in (("decode", count), ("image", 32), ("file", count)):
                rates[kind].append(n * 1e3 / clipon.run(kind, n, 1)[0])
        clipon.close()
        decode, compute, joined = (statistics.median(rates[kind]) for kind in ("decode", "image", "file"))
        slower = f"decode and resize {decode:.0f}/s, compute {compute:.1f}/s"
        serial = 1 / (1 / decode + 1 / compute)
        why = f"one after the other on the same threads would be {serial / min(decode, compute):.3f}"
        name = f"64 JPEGs of 640 x 480, {precision}"
        lines.append(
            Line(name, f"{joined:.1f}/s", slower, joined / min(decode, compute), 0.9, "of the slower", why=why)
        )
    return lines


def loading(tools: Tools, full: bool) -> list[Line]:
    """bench_load: from the page cache to the first embedding, over reading the bytes and writing the packed ones."""
    model = prepared(tools).path("f16.gguf")
    if not model.is_file():
        line = ["-m", "clipon_convert", prepared(tools).checkpoint, model, "--dtype", "f16", "--quiet"]
        subprocess.run([sys.executable, *line], cwd=GOLDEN.parents[1] / "weights_converter", check=True)
    picture = GOLDEN / "inputs/images/02_cat_451x300.png"
    lines = []
    for precision in ("f32", "bf16"):
        line = [tools.server.with_name("bench_load"), model, picture, "5", precision]
        output = subprocess.run(line, check=True, capture_output=True, text=True).stdout
        numbers = re.search(r"median ([\d.]+); anonymous ([\d.]+) MB at most, packed weights ([\d.]+) MB", output)
        assert numbers is not None, output
        ratio, anonymous, packed = map(float, numbers.groups())
        name = f"load {ARCH} f16 for {precision}"
        lines.append(Line(f"{name}: file to first embedding", "", "", ratio, 2.0, "x the copy", at_most=True))
        limit = 1.1 * packed + 64
        ours, best = f"{anonymous:.0f} MB", f"packed {packed:.0f} MB"
        lines.append(
            Line(
                f"{name}: anonymous memory", ours, best, anonymous / limit, 1.0, "of 1.1 x packed + 64 MB", at_most=True
            )
        )
    return lines


def memory(tools: Tools, full: bool) -> list[Line]:
    clipon = start_clipon(prepared(tools), "int8", 2, "best", tools)

    def highest(batch: int) -> float:
        Path(f"/proc/{clipon.process.pid}/clear_refs").write_text("5")
        clipon.run("image", batch, 2)
        return float(clipon.ask("memory").split()[1])

    one, many = highest(1), highest(32)
    before = float(clipon.ask("memory").split()[0])
    clipon.run("image", 1, 1000)
    growth = float(clipon.ask("memory").split()[0]) - before
    clipon.close()
    found, an_image = f"{one:.0f} MB at 1, {many:.0f} MB at 32", (many - one) / 31
    return [
        Line(f"memory of a batch, {ARCH}", found, "", an_image, 8.0, "MB an image", at_most=True),
        Line("memory after 1,000 calls more", "", "", max(growth, 0.0), 1.0, "MB more", at_most=True),
    ]


def imagenet_prompts(step: int) -> list[str]:
    """Every `step`-th of OpenAI's 1,000 class names in its 80 templates; all have a little more to share."""
    (package,) = importlib.util.find_spec(
        "open_clip"
    ).submodule_search_locations  # the package itself wants torchvision
    spec = importlib.util.spec_from_file_location("metadata", Path(package) / "zero_shot_metadata.py")
    metadata = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(metadata)
    templates, names = metadata.OPENAI_IMAGENET_TEMPLATES, metadata.IMAGENET_CLASSNAMES
    return [template(name) for template in templates for name in names[::step]]


def prefixes(tools: Tools, full: bool) -> list[Line]:
    prompts = imagenet_prompts(10 if full else 20)
    file = tools.folder / "prompts.txt"
    file.write_text("\n".join(prompts) + "\n")
    clipon = start_clipon(prepared(tools), "int8", 2, "best", tools)
    clipon.ask(f"texts {file}")
    n = len(prompts)
    rates: dict[str, list[float]] = {"text": [], "unshared": []}
    vectors = {}
    for _ in range(5 if full else 2):
        for kind in rates:
            vectors[kind], milliseconds = clipon.embed(kind, n, tools.folder / "embeddings.f32")
            rates[kind].append(n * 1e3 / milliseconds)
    same = np.array_equal(*vectors.values())
    clipon.close()
    ratio = statistics.median(a / b for a, b in zip(*rates.values(), strict=True))
    shared, unshared = (statistics.median(values) for values in rates.values())
    why = f"{n} of the 80,000 texts" + ("" if same else "; THE VECTORS DIFFER")
    name = "1,000 classes x 80 templates, int8, prefixes shared"
    return [Line(name, f"{shared:.0f}/s", f"unshared {unshared:.0f}/s", ratio if same else 0.0, 1.8, "x", why=why)]


def clip_cpp(tools: Tools, full: bool) -> list[Line]:
    why = "clip.cpp is in no registry: docs/performance.md says how it was measured by hand"
    return [Line("64 labels, f32, over clip.cpp", "", "", None, 3.5, "x", why=why)]


def measured_alone(work: Work, tools: Tools, full: bool) -> list[Line]:
    """With what others used of the cores meanwhile, where that is much."""

    def own_seconds() -> float:
        uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(use.ru_utime + use.ru_stime for use in uses)

    others = OtherLoad(own_seconds)
    lines = work(tools, full)
    share = others.share()
    if share <= DISTURBED:
        return lines
    return [replace(line, why=reasons(line.why, f"others used {share:.0%} of the CPU")) for line in lines]


OTHER_WORK: dict[str, Work] = {
    "clip.cpp": clip_cpp,
    "prefixes": prefixes,
    "resize": resize,
    "folder": folder_of_jpegs,
    "load": loading,
    "memory": memory,
}
