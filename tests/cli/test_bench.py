"""clipon bench: its --json as docs/cli.md describes it, the published operations, its mistakes."""

from __future__ import annotations

import json

import pytest
from test_commands import one_line

from conftest import SAMPLES, Command

MODEL = SAMPLES.parent / "clipon-demo.gguf"


def test_results_and_profile(clipon: Command) -> None:
    out = clipon.work / "bench.json"
    done = clipon(
        "bench", "--model", MODEL, "--seconds", "0", "--batch", "1,3", "--threads", "1,2", "--precision", "f32,int8",
        "--profile", "--json", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())["results"]
    wanted = [(p, t, n, tower) for p in ("f32", "int8") for t in (1, 2) for n in (1, 3) for tower in ("image", "text")]
    assert [(r["precision"], r["threads"], r["batch"], r["tower"]) for r in results] == wanted
    for r in results:
        assert r["items_a_second"] == pytest.approx(1e3 * r["batch"] / r["p50_ms"])
        assert r["gflops"] == pytest.approx(r["items_a_second"] * r["gflop_an_item"])
        assert r["share_of_peak"] == pytest.approx(r["gflops"] / r["peak_gflops"])
        assert 0 < r["p50_ms"] <= r["p95_ms"] <= r["p99_ms"]
        assert sum(row["share_of_time"] for row in r["profile"]) == pytest.approx(1)
        assert all(row["milliseconds"] >= 0 for row in r["profile"])
        whole = sum(row["milliseconds"] for row in r["profile"])
        for row in r["profile"]:
            assert row["share_of_time"] == pytest.approx(row["milliseconds"] / whole)
        peaks: dict[str, list[float]] = {}
        for row in r["profile"]:
            if "gflops" in row:
                peaks.setdefault(row["type"], []).append(row["gflops"] / row["share_of_peak"])
        assert all(peak == pytest.approx(of_type[0]) for of_type in peaks.values() for peak in of_type)
        assert peaks[r["precision"]][0] == pytest.approx(r["peak_gflops"])
        others = [of_type[0] for kind, of_type in peaks.items() if kind != r["precision"]]
        assert bool(others) == (r["precision"] == "int8")  # its attention and last products
        assert all(peak != r["peak_gflops"] for peak in others)  # measured on their own
        for row in r["profile"]:
            if row["operator"] == "gemm" and r["tower"] == "text":  # the image's patches are no plain product
                operations = 2e-9 * row["rows_a_call"] * row["calls"] * row["outputs"] * row["inputs"]
                assert row["gflops"] * row["milliseconds"] * 1e-3 == pytest.approx(operations)
        products = [row for row in r["profile"] if row["operator"] == "gemm"]
        assert {"attention", "layer_norm"} < {row["operator"] for row in r["profile"]}
        done_work = sum(row["gflops"] * row["milliseconds"] for row in products) * 1e-3 / r["batch"]
        assert done_work < 1.001 * r["gflop_an_item"]  # the last block's and the padding's work is not done
        if r["tower"] == "image":
            assert done_work > 0.7 * r["gflop_an_item"]


def test_what_stands_before_the_command_counts(clipon: Command) -> None:
    out = clipon.work / "bench.json"
    line = (
        "--threads",
        1,
        "--precision",
        "int8",
        "--isa",
        "sse2",
        "bench",
        "--model",
        MODEL,
        "--seconds",
        0,
        "--json",
        out,
    )
    for tower in ("image", "text"):
        done = clipon(*line, "--tower", tower, "--batch", 2)
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(out.read_text())["results"]
        assert (row["tower"], row["threads"], row["precision"], row["isa"]) == (tower, 1, "int8", "sse2")
        assert row["calls"] >= 5 and row["load_ms"] > 0 and 0 <= row["other_load"] <= 1
        assert 0 < row["rss_anon_mb"] < row["rss_peak_mb"]


@pytest.mark.parametrize(("arch", "picture", "text"), [("ViT-B/32", 8.82, 5.96), ("RN50", 12.22, 5.96)])
def test_published_operations(clipon: Command, arch: str, picture: float, text: float) -> None:
    """OpenCLIP's docs/model_profile.csv, in GFLOPs."""
    done = clipon("bench", "--arch", arch, "--tower", "text", "--batch", "1", "--seconds", "0")
    assert done.returncode == 0, done.stderr
    assert f"{picture:.2f} GFLOP a picture, {text:.2f} a text" in done.stdout
    assert f"{arch} (random weights), f32" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "--arch NAME or --model FILE"),
        (("--arch", "RN50", "--seconds", "nan"), "--seconds"),
        (("--arch", "RN50", "--seconds", "-1"), "--seconds"),
        (("--arch", "ViT-Z/1"), "ViT-Z/1"),
        (("--arch", "RN50", "--batch", "0"), "--batch"),
        (("--arch", "RN50", "--precision", "f8"), "f8"),
    ],
)
def test_mistakes(clipon: Command, arguments: tuple[str, ...], word: str) -> None:
    done = clipon("bench", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert word in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_output_that_can_not_be_written_is_told_at_once(clipon: Command) -> None:
    file, link = clipon.work / "file.json", clipon.work / "link.json"
    file.write_text("old")
    link.symlink_to(clipon.work)
    for out, why in (
        (clipon.work / "none" / "b.json", "No such file"),
        (clipon.work, "Is a directory"),
        (link, "Is a directory"),
        (file / "b.json", "Not a directory"),
    ):
        done = clipon("bench", "--arch", "RN50x64", "--seconds", "3600", "--json", out, timeout=5)
        assert (done.returncode, done.stdout) == (1, "")
        one_line(done.stderr, f"{out}: can't write it: {why}")
    assert file.read_text() == "old"
    link.unlink()
    link.symlink_to(clipon.work / "new.json")  # of a file to be
    for out in (file, link):
        done = clipon("bench", "--model", MODEL, "--tower", "text", "--batch", 1, "--seconds", 0, "--json", out)
        assert done.returncode == 0, done.stderr
    assert json.loads((clipon.work / "new.json").read_text())["results"]
