"""`--precision`: what `info` says runs is what `bench` multiplies in, on every instruction set that this CPU has."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from conftest import SAMPLES, Command

MODEL = SAMPLES.parent / "clipon-demo.gguf"
# docs/precision.md and docs/tuning.md: where int8 is no faster than f32, and where bf16 has an instruction of its own
SLOW_INT8 = {"scalar", "avx512", "neon"}
OWN_BF16 = {"avx512_bf16", "amx", "neon_i8mm"}


def runs(precision: str, isa: str) -> str:
    """Of a Vision Transformer, which keeps its accuracy in every type."""
    if precision != "auto":
        return precision
    return "f32" if isa in SLOW_INT8 else "int8"


def usable(clipon: Command) -> list[str]:
    return json.loads(clipon("info", "--json").stdout)["cpu"]["usable"]


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8", "auto"])
def test_what_info_says_is_what_is_multiplied_in(clipon: Command, precision: str) -> None:
    out = clipon.work / "bench.json"
    for isa in usable(clipon):
        wanted = runs(precision, isa)
        done = clipon("info", "--precision", precision, "--isa", isa, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["runs"]["precision"] == wanted, isa
        done = clipon(
            "bench", "--model", MODEL, "--precision", precision, "--isa", isa, "--tower", "text", "--batch", 1,
            "--threads", 1, "--seconds", 0, "--profile", "--json", out,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(out.read_text())["results"]
        assert (row["precision"], row["isa"]) == (wanted, isa)
        products: Counter[str] = Counter()
        for part in row["profile"]:
            if part["operator"] == "gemm":
                products[part["type"]] += part["calls"] * part["rows_a_call"] * part["outputs"] * part["inputs"]
        # a CPU without products of bf16 widens the weights; a few products, the last one's, are always more precise
        kind = "f32" if wanted == "bf16" and isa not in OWN_BF16 else wanted
        assert 2 * products[kind] > products.total(), (isa, products)


@pytest.mark.parametrize("precision", ["f32", "bf16", "int8", "auto"])
def test_every_command_says_what_it_computed_in(clipon: Command, precision: str) -> None:
    wanted = json.loads(clipon("info", "--precision", precision, "--json").stdout)["runs"]
    assert wanted["precision"] in ((precision,) if precision != "auto" else ("f32", "bf16", "int8"))
    table = clipon.work / "data.csv"
    table.write_text(f"path,label\n{SAMPLES / 'house.png'},house\n")
    for line in (
        ("classify", SAMPLES / "house.png", "--labels", "house,pizza"),
        ("embed", "--images", SAMPLES / "house.png", "-o", clipon.work / "e.npy"),
        ("evaluate", table),
    ):
        told = json.loads(clipon(*line, "--precision", precision, "--json").stdout)
        assert (told["precision"], told["isa"]) == (wanted["precision"], wanted["isa"])
    index = clipon.work / "index"
    assert clipon("index", SAMPLES / "house.png", "--index", index, "--precision", precision).returncode == 0
    assert json.loads((index / "index.json").read_text())["precision"] == wanted["precision"]
    shown = clipon("info", "--precision", precision).stdout
    assert ["precision", wanted["precision"]] in [line.split() for line in shown.splitlines()]
