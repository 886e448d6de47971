"""Each command's output and --json as docs/cli.md describes them; exit codes; one clear line for each mistake."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import GOLDEN, SAMPLES, Command


def one_line(errors: str, *words: str) -> None:
    assert errors.startswith("clipon: "), errors
    assert errors.count("\n") == 1, errors
    for word in words:
        assert word in errors, errors


def test_classify_table(clipon: Command) -> None:
    done = clipon(
        "classify", SAMPLES / "pizza.png", SAMPLES / "house.png", "--labels", "guitar,pizza,house", "--top", "2"
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert lines[0].split()[1:4] == ["99.9", "%", "pizza"]
    assert lines[1].split()[3] == "house"
    assert lines[0].count("%") == 2
    pictures = (SAMPLES / "pizza.png", clipon.work / "none.png", SAMPLES / "house.png")
    line = ("classify", *pictures, "--labels", "guitar,pizza,house", "--top", 1, "--temperature", 8)
    found = json.loads(clipon(*line, "--json").stdout)["results"]
    wanted = [(r["path"], p["probability"], p["label"]) for r in found for p in r["predictions"]]
    shown = [text.split() for text in clipon(*line).stdout.splitlines()]
    assert shown == [[path, f"{100 * share:.1f}", "%", label] for path, share, label in wanted]
    assert len({row[1] for row in shown}) == 2


def test_classify_json(clipon: Command) -> None:
    labels = clipon.work / "labels.json"
    labels.write_text(json.dumps(["pizza", "guitar", 'a "house"']))
    bad = clipon.work / "bad.png"
    bad.write_text("this is not a picture")
    done = clipon(
        "classify",
        SAMPLES / "pizza.png",
        bad,
        "--labels-file",
        labels,
        "--template",
        "{}",
        "--template",
        "an emoji of {}",
        "--top",
        "0",
        "--json",
    )
    assert done.returncode == 3
    one_line(done.stderr, "bad.png", "expected JPEG, PNG or BMP")
    result = json.loads(done.stdout)
    assert list(result) == ["model", "precision", "isa", "labels", "results"]
    assert result["labels"][2] == 'a "house"'
    good, failed = result["results"]
    assert good["ok"] and len(good["predictions"]) == 3
    assert sum(p["probability"] for p in good["predictions"]) == pytest.approx(1, abs=1e-5)
    assert [set(p) for p in good["predictions"]] == [{"label", "index", "probability", "cosine", "margin"}] * 3
    assert good["predictions"][0]["label"] == "pizza" and "error" not in good
    assert not failed["ok"] and failed["predictions"] == [] and "JPEG" in failed["error"]


def test_folders_are_walked_in_order(clipon: Command) -> None:
    done = clipon("classify", SAMPLES, "--labels-file", SAMPLES / "labels.txt", "--json")
    assert done.returncode == 0
    paths = [Path(r["path"]).name for r in json.loads(done.stdout)["results"]]
    assert paths == sorted(p.name for p in SAMPLES.glob("*.png"))


def test_embed(clipon: Command) -> None:
    out = clipon.work / "e.npy"
    missing = clipon.work / "missing.png"
    done = clipon("embed", "--images", SAMPLES / "tulip.png", missing, SAMPLES / "house.png", "-o", out, "--json")
    assert done.returncode == 3
    one_line(done.stderr, f"clipon: {missing}: picture: No such file")
    rows = np.load(out)
    assert rows.shape == (3, 192) and rows.dtype == np.float32
    assert np.isnan(rows[1]).all()
    np.testing.assert_allclose(np.linalg.norm(rows[[0, 2]], axis=1), 1, atol=1e-6)
    summary = json.loads(done.stdout)
    assert summary["shape"] == [3, 192] and summary["failed"] == 1
    lines = [json.loads(line) for line in (clipon.work / "e.paths.jsonl").read_text().splitlines()]
    assert [line["ok"] for line in lines] == [True, False, True]
    assert lines[0] == {"path": str(SAMPLES / "tulip.png"), "ok": True, "error": ""}
    raw = clipon.work / "raw.npy"
    assert clipon("embed", "--images", SAMPLES / "tulip.png", "--raw", "-o", raw).returncode == 0
    unit = np.load(raw)[0] / np.linalg.norm(np.load(raw)[0])
    np.testing.assert_allclose(unit, rows[0], atol=1e-7)
    assert abs(np.linalg.norm(np.load(raw)) - 1) > 1e-3
    assert "expected JPEG" not in lines[1]["error"] and "No such file" in lines[1]["error"]
    one = clipon.work / "one.vectors"
    line = ("embed", "--images", SAMPLES / "tulip.png", missing, SAMPLES / "house.png", "-o", one, "--batch", 1)
    assert clipon(*line).returncode == 3
    np.testing.assert_allclose(np.load(one.open("rb")), rows, atol=1e-6)
    told = (clipon.work / "one.vectors.paths.jsonl").read_text()
    assert told == (clipon.work / "e.paths.jsonl").read_text()


def test_pictures_of_a_folder_by_their_names(clipon: Command) -> None:
    folder = clipon.work / "folder"
    (folder / "folder.png").mkdir(parents=True)
    for name, picture in (("a.JPG", "rgb.jpg"), ("b.jpeg", "rgb.jpg"), ("c.bmp", "rgb.bmp"), ("d.Png", "rgb.png"),
                          ("folder.png/e.png", "rgb.png"), ("f.gif", "rgb.png"), ("png", "rgb.png")):  # fmt: skip
        shutil.copy(GOLDEN / "pictures" / picture, folder / name)
    (folder / "gone.png").symlink_to("nowhere")
    done = clipon("embed", "--images", folder, "-o", clipon.work / "e.npy")
    assert done.returncode == 0, done.stderr
    paths = [json.loads(line)["path"] for line in (clipon.work / "e.paths.jsonl").read_text().splitlines()]
    assert paths == [str(folder / name) for name in ("a.JPG", "b.jpeg", "c.bmp", "d.Png", "folder.png/e.png")]


def test_embed_texts_and_truncate(clipon: Command) -> None:
    texts = clipon.work / "t.txt"
    texts.write_text("a cat\n\n" + "very " * 100 + "long\na dog\r\n")
    done = clipon("embed", "--texts", texts, "-o", clipon.work / "t.npy")
    assert done.returncode == 3
    one_line(done.stderr, "clipon: " + "very " * 100 + "long: text", "expected at most 32 tokens, found 103")
    assert np.isnan(np.load(clipon.work / "t.npy")).any(axis=1).tolist() == [False, True, False]
    done = clipon("--truncate", "embed", "--texts", texts, "-o", clipon.work / "t.npy")
    assert done.returncode == 0
    assert np.isfinite(np.load(clipon.work / "t.npy")).all()
    lines = [json.loads(line) for line in (clipon.work / "t.paths.jsonl").read_text().splitlines()]
    assert [line["text"][:5] for line in lines] == ["a cat", "very ", "a dog"]
    unit = np.load(clipon.work / "t.npy")
    assert clipon("embed", "--texts", texts, "--truncate", "--raw", "-o", clipon.work / "raw.npy").returncode == 0
    lengths = np.linalg.norm(np.load(clipon.work / "raw.npy"), axis=1, keepdims=True)
    assert (abs(lengths - 1) > 1e-3).all()
    np.testing.assert_allclose(np.load(clipon.work / "raw.npy") / lengths, unit, atol=1e-6)
    as_json = clipon.work / "t.json"
    as_json.write_text(json.dumps(["a cat", "a\ndog"]))
    assert clipon("embed", "--texts", as_json, "-o", clipon.work / "j.npy").returncode == 0
    np.testing.assert_allclose(np.load(clipon.work / "j.npy"), unit[[0, 2]], atol=1e-6)


def test_tokenize(clipon: Command) -> None:
    done = clipon("tokenize", "a photo of a cat", "")
    assert done.returncode == 0
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first[0] == 8512 and first[-1] == 8513 and len(first) == 7
    assert second == [8512, 8513]
    done = clipon("tokenize", "very " * 100, "a photo of a cat")
    assert done.returncode == 3
    one_line(done.stderr, "expected at most 32 tokens")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [None, first]


def test_similarity(clipon: Command) -> None:
    texts = clipon.work / "t.txt"
    texts.write_text("pizza\nguitar\n")
    base = ("similarity", "--images", SAMPLES / "guitar.png", SAMPLES / "pizza.png", "--texts", texts)
    result = json.loads(clipon(*base, "--json").stdout)
    assert set(result) == {"model", "images", "texts", "logit_scale", "cosines"}
    cosines = np.array(result["cosines"])
    assert cosines.shape == (2, 2) and cosines[0, 1] > cosines[0, 0] and cosines[1, 0] > cosines[1, 1]
    assert clipon(*base, "-o", clipon.work / "s.npy").returncode == 0
    np.testing.assert_allclose(np.load(clipon.work / "s.npy"), cosines, atol=1e-6)
    assert clipon(*base, "-o", clipon.work / "s.npy").stdout == f"{clipon.work}/s.npy: 2 x 2 float32\n"
    *head, first, second = (line.split() for line in clipon(*base).stdout.splitlines())
    assert head == [["[0]", "pizza"], ["[1]", "guitar"], ["[0]", "[1]"]]
    assert first == [str(SAMPLES / "guitar.png"), *(f"{cosine:.4f}" for cosine in cosines[0])]
    assert second == [str(SAMPLES / "pizza.png"), *(f"{cosine:.4f}" for cosine in cosines[1])]
    texts.write_text("pizza\n" + "very " * 100 + "\n")
    done = clipon(*base[:3], clipon.work / "none.png", *base[3:], "--json")
    assert done.returncode == 3 and done.stderr.count("\n") == 2
    assert "none.png: " in done.stderr and "expected at most 32 tokens" in done.stderr
    assert [[c is None for c in row] for row in json.loads(done.stdout)["cosines"]] == [
        [False, True], [True, True], [False, True],
    ]  # fmt: skip
    texts.write_text("pizza\nguitar\n")
    done = clipon("similarity", "--images", clipon.work / "none.png", "--texts", texts)
    assert done.returncode == 3
    one_line(done.stderr, "none.png: ")


def test_info(clipon: Command) -> None:
    result = json.loads(clipon("info", "--json").stdout)
    assert set(result) == {"model", "cpu", "runs", "jpeg", "clipon"}
    assert result["model"]["parameters"] == 6213888
    assert result["runs"]["isa"] in result["cpu"]["usable"]
    assert "14,613 pictures" in clipon("info").stdout
    assert result["model"]["source_url"] == ""
    assert result["model"]["path"] == "(embedded)" and result["model"]["license"].startswith("MIT")
    assert (result["model"]["image_size"], result["model"]["context_length"]) == (64, 32)
    demo = SAMPLES.parent / "clipon-demo.gguf"
    told = json.loads(
        clipon("--model", demo, "info", "--json", "--isa", "sse2", "--threads", 1, "--precision", "int8").stdout
    )
    assert told["model"] == result["model"] | {"path": str(demo)}
    assert result["model"]["file_bytes"] == demo.stat().st_size and result["model"]["format"] == "clipon"
    assert told["runs"] == {"precision": "int8", "isa": "sse2", "why": "--isa asks for it", "threads": 1}
    assert set(result["cpu"]["usable"]) <= set(result["cpu"]["built"])


@pytest.mark.parametrize("isa", ["scalar", "sse2", "avx2", "avx512"])
def test_isa_can_be_pinned(clipon: Command, isa: str) -> None:
    usable = json.loads(clipon("info", "--json").stdout)["cpu"]["usable"]
    done = clipon("info", "--isa", isa, "--json")
    if isa in usable:
        assert json.loads(done.stdout)["runs"]["isa"] == isa
        environment = {**os.environ, "CLIPON_ISA": isa}
        import subprocess

        pinned = subprocess.run(
            [clipon.program, "info", "--json"], env=environment, capture_output=True, text=True, check=True
        )
        assert json.loads(pinned.stdout)["runs"]["isa"] == isa
    else:
        assert done.returncode == 1
        one_line(done.stderr, isa)


PICTURE = SAMPLES / "pizza.png"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, ["subcommand"]),
        (("frobnicate",), 2, ["frobnicate"]),
        (("classify", PICTURE), 2, ["labels"]),
        (("classify", PICTURE, "--labels", ""), 2, ["labels"]),
        (("classify", PICTURE, "--labels", "a, ,b"), 2, ["labels[1]", "empty label"]),
        (("classify", PICTURE, "--labels", "a," + "cat " * 60), 2, ["labels[1]: text 'cat cat", "at most 32 tokens"]),
        (("classify", PICTURE, "--labels", "a,caf\udce9"), 2, ["labels[1]: text 'caf\\xe9'", "at byte 3"]),
        (("classify", PICTURE, "--labels", "a", "--template", "no place"), 2, ["{}"]),
        (("classify", PICTURE, "--labels", "a", "--wrong"), 2, ["--wrong"]),
        (("classify", PICTURE, "--labels", "a", "--top", "-1"), 2, ["--top", "a whole number of at least 0, found -1"]),
        (
            ("classify", PICTURE, "--labels", "a", "--multi-label", "--min-cosine", "0.9"),
            2,
            ["--min-cosine", "--multi"],
        ),
        (("classify", PICTURE, "--labels", "a", "--min-background", "0.9"), 2, ["expected --background beside it"]),
        (("classify", PICTURE, "--labels", "a", "--threshold", "0.9"), 2, ["expected --multi-label beside it"]),
        (("probe", "train", SAMPLES, "-o", "x", "--c", "0"), 2, ["--c", "found 0"]),
        (("probe", "train", SAMPLES, "-o", "x", "--c", "1", "--holdout", "0.5"), 2, ["--c", "--holdout"]),
        (("probe", "train", SAMPLES, "-o", "x", "--template", "a {}"), 2, ["expected --zero-shot beside them"]),
        (("probe", "curve", SAMPLES, "--shots", "0"), 2, ["--shots", "a whole number of at least 1, found 0"]),
        (("classify", "/", "--labels", "a", "--threads", "-3"), 2, ["threads"]),
        (("classify", PICTURE, "--labels-file", "/nonexistent"), 1, ["/nonexistent", "No such file"]),
        (("--isa", "mmx", "info"), 2, ["mmx", "avx2"]),
        (("--precision", "f64", "info"), 2, ["f64"]),
        (("--model", "/nonexistent.gguf", "info"), 1, ["/nonexistent.gguf", "No such file"]),
        (("--model", SAMPLES, "info"), 1, ["folder"]),
        (("--model", "/dev/zero", "info"), 1, ["device"]),
        (("--model", SAMPLES / "pizza.png", "info"), 1, ["pizza.png", "GGUF"]),
        (("embed", "-o", "x.npy"), 2, ["--images"]),
        (("embed", "--images", PICTURE, "-o", "/nonexistent/x.npy"), 1, ["/nonexistent/x.npy"]),
        (("preprocess", SAMPLES / "labels.txt", "-o", "x.npy"), 1, ["labels.txt", "JPEG, PNG or BMP"]),
        (("preprocess", SAMPLES, "-o", "x.npy"), 1, ["folder"]),
        (("tokenize",), 2, ["texts"]),
        (("tokenize", "a", "--texts", SAMPLES / "labels.txt"), 2, ["either texts or --texts FILE"]),
        (("embed", "--images", PICTURE, "--texts", SAMPLES / "labels.txt", "-o", "x.npy"), 2, ["either --images"]),
        (("embed", "--images", PICTURE, "-o", "x.npy", "--batch", "0"), 2, ["--batch"]),
        (("embed", "--images", GOLDEN.parent / "cli", "-o", "x.npy"), 2, ["cli: expected .jpg", "found none"]),
    ],
)
def test_mistakes(clipon: Command, arguments: tuple[object, ...], code: int, words: list[str]) -> None:
    done = clipon(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    one_line(done.stderr, *words)


@pytest.mark.parametrize(
    ("content", "command", "words"),
    [
        ('{"a": []}', "tokenize", "expected a JSON array of strings"),
        ('["a", 1]', "tokenize", "expected a JSON array of strings"),
        ('"a"', "tokenize", "expected a JSON array of strings"),
        ('["a"', "tokenize", "expected a JSON array of strings"),
        ('"a"', "classify", "expected a JSON array of labels"),
        ('["a", 1]', "classify", "expected a JSON array of labels"),
        ("[]", "classify", "labels: expected at least one"),
    ],
)
def test_json_of_another_kind(clipon: Command, content: str, command: str, words: str) -> None:
    file = clipon.work / "x.json"
    file.write_text(content)
    done = clipon(command, *((PICTURE, "--labels-file") if command == "classify" else ("--texts",)), file)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, words)


def test_truncated_model(clipon: Command, model32: Path) -> None:
    whole = model32.read_bytes()
    cut = clipon.work / "cut.gguf"
    for size in (0, 3, 4, 24, 100, 2000, len(whole) // 2, len(whole) - 1):
        cut.write_bytes(whole[:size])
        done = clipon("--model", cut, "info")
        assert done.returncode == 1
        one_line(done.stderr, "cut.gguf")


def test_flipped_weight(clipon: Command, model32: Path) -> None:
    broken = bytearray(model32.read_bytes())
    broken[-1000] ^= 1
    path = clipon.work / "flipped.gguf"
    path.write_bytes(broken)
    done = clipon("--model", path, "info")
    assert done.returncode == 1
    one_line(done.stderr, "CRC32C", "tensor '")


def test_fifo_is_refused_at_once(clipon: Command) -> None:
    fifo = clipon.work / "fifo"
    os.mkfifo(fifo)
    done = clipon("--model", fifo, "info", timeout=5)
    assert done.returncode == 1
    one_line(done.stderr, "pipe")
