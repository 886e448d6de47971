#!/usr/bin/env python3
"""clipon against openai/CLIP's answers, end to end: checkpoint -> converter -> clipon command -> features.

    check_reference.py ARCH... --clipon build/release/clipon [--shared DIR] [--work DIR]

For each architecture the checkpoint is made by golden/make_checkpoint.py, converted, and the pictures and texts of
golden/inputs are embedded; features, probabilities and the contrastive loss must agree with golden/features within the
table of tolerances. Where --shared has the reference's pixels, they are compared too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parent.parent
GOLDEN = TESTS / "golden"
CONVERTER = TESTS.parent / "weights_converter"

# relative L2 error of the worst row, f32, against float32 PyTorch: twice to fifty times what a second PyTorch
# implementation differs by (7e-7 on ViT-B/32); larger where sums are longer and layers more
TOLERANCE = {"image": 1e-5, "text": 1e-5, "probability": 1e-4, "loss": 1e-4}
LARGE = {"ViT-L/14", "ViT-L/14@336px", "RN50x4", "RN50x16", "RN50x64"}
LARGE_IMAGE_TOLERANCE = 5e-5
F16_TOLERANCE = 2e-3  # rounding the weights to f16 alone gives 3e-4 to 8e-4
WORST_COSINE = {"bf16": 0.9999, "int8": 0.998}  # of weights stored so and widened
# computed in bf16 or int8: the worst row's cosine, and the same after the mean embedding is removed. A ResNet in plain
# PyTorch with its maps and weights rounded so: bf16 0.99996 and 0.9993, int8 (3 x 3 convolutions bf16) 0.9998 and 0.995
COMPUTED_COSINES = {"bf16": (0.9999, 0.998), "int8": (0.9995, 0.99)}
# Deeper ones round off more: what parity/resnet_precision.py finds for plain bf16 and plain int8 (schemes bf16 and
# int8-pixel), or 0.999 and 0.99 where that is better.
DEEP_COSINES = {
    "RN101": {"bf16": (0.999, 0.99), "int8": (0.999, 0.98624)},
    "RN50x16": {"bf16": (0.998860, 0.98714), "int8": (0.996840, 0.96450)},
    "RN50x64": {"bf16": (-1.0, -1.0), "int8": (-1.0, -1.0)},  # reported, without a mark
}
TEXT_COSINES = {"bf16": (0.9999, 0.9995), "int8": (0.998, 0.99)}
TURBOJPEG_LEVELS, STB_LEVELS = 0.0, 2.0  # mean absolute difference of pixels of a JPEG


class Failure(Exception):
    pass


def run(*command: object) -> str:
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}: exit code {result.returncode}: {result.stderr.strip()}")
    return result.stdout


def convert(arch: str, work: Path, dtype: str = "f32") -> Path:
    stem = work / arch.replace("/", "-").replace("@", "-")
    checkpoint, model = stem.with_suffix(".safetensors"), Path(f"{stem}.{dtype}.gguf")
    if not checkpoint.exists():
        run(sys.executable, GOLDEN / "make_checkpoint.py", arch, checkpoint)
    command = [sys.executable, "-m", "clipon_convert", checkpoint, model, "--dtype", dtype, "--quiet"]
    subprocess.run(command, cwd=CONVERTER, check=True)
    return model


def worst_row(found: np.ndarray, expected: np.ndarray) -> float:
    if found.shape != expected.shape:
        raise Failure(f"expected shape {expected.shape}, found {found.shape}")
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())


def worst_cosine(found: np.ndarray, expected: np.ndarray) -> float:
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((found * expected).sum(1) / norms).min())


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def contrastive_loss(logits: np.ndarray) -> float:
    n = min(logits.shape)
    square = logits[:n, :n].astype(np.float64)
    return float(-(np.log(np.diag(softmax(square))).mean() + np.log(np.diag(softmax(square.T))).mean()) / 2)


def compare_pixels(clipon: Path, model: Path, names: list[str], expected: np.ndarray, work: Path) -> str:
    worst = 0.0
    for name, pixels in zip(names, expected, strict=True):
        run(clipon, "--model", model, "preprocess", GOLDEN / "inputs/images" / name, "-o", work / "pixels.npy")
        difference = np.abs(np.load(work / "pixels.npy").astype(int) - pixels.astype(int))
        lossy = name.endswith(".jpg")
        worst = max(worst, float(difference.mean()) if lossy else 0.0)
        if difference.mean() > (STB_LEVELS if lossy else 0.0):
            raise Failure(f"pixels of {name}: differ by {difference.mean():.3f} levels on average")
    return f"pixels of {len(names)} pictures equal (JPEG within {worst:.3f} levels)"


def check_token_lines(clipon: Path, work: Path, count: int = 100_000) -> str:
    """Lines in 40 scripts, against the original tokenizer's own steps."""
    from token_lines import SCRIPTS, OriginalTokenizer, lines  # needs ftfy and regex

    sys.path.insert(0, str(CONVERTER))
    from clipon_convert.vocabulary import find_openai_merges

    original = OriginalTokenizer(find_openai_merges())
    texts = lines(count)
    (work / "lines.json").write_text(json.dumps(texts))
    model = convert("tiny-ViT", work)
    output = run(clipon, "--model", model, "--truncate", "tokenize", "--texts", work / "lines.json").splitlines()
    wrong = []
    for text, line in zip(texts, output, strict=True):
        if json.loads(line) != [49406, *original.encode(text)[:75], 49407]:
            wrong.append(text)
    if wrong:
        raise Failure(f"{len(wrong)} of {len(texts)} lines have other tokens, the first {wrong[0]!a}")
    return f"{len(texts)} of {len(texts)} lines in {len(SCRIPTS)} scripts identical"


def check_tokens(clipon: Path, work: Path) -> str:
    """golden/tokens.json: [text, ids] by the original tokenizer, without start and end."""
    rows = json.loads((GOLDEN / "tokens.json").read_text())
    (work / "tokens.json").write_text(json.dumps([text for text, _ in rows]))
    model = convert("tiny-ViT", work)
    # the command refuses or truncates what exceeds the context, so those rows are compared as far as it reaches
    output = run(clipon, "--model", model, "--truncate", "tokenize", "--texts", work / "tokens.json").splitlines()
    different = 0
    for (_, ids), line in zip(rows, output, strict=True):
        different += json.loads(line) != [49406, *ids[:75], 49407]
    if different:
        raise Failure(f"{different} of {len(rows)} texts have other tokens")
    return f"{len(rows)} of {len(rows)} texts identical, {sum(len(ids) > 75 for _, ids in rows)} of them truncated"


def check_stored_types(arch: str, clipon: Path, work: Path, dtypes: list[str]) -> str:
    """Files whose matrices are stored in a narrower type, computed in f32."""
    golden = np.load(GOLDEN / "features" / (arch.replace("/", "-").replace("@", "-") + ".npz"))
    paths = [GOLDEN / "inputs/images" / str(name) for name in golden["image_names"]]
    reports = []
    for dtype in dtypes:
        model = convert(arch, work, dtype)
        run(clipon, "--model", model, "embed", "--raw", "--images", *paths, "-o", work / "images.npy")
        command = (clipon, "--model", model, "--truncate", "embed", "--raw")
        run(*command, "--texts", work / "texts.json", "-o", work / "texts.npy")
        for tower, name in (("image", "images.npy"), ("text", "texts.npy")):
            found, expected = np.load(work / name), golden[f"{tower}_features"]
            if dtype == "f16":
                error = worst_row(found, expected)
                good = error <= F16_TOLERANCE
                reports.append(f"f16 {tower} {error:.1e}")
            else:
                cosine = worst_cosine(found, expected)
                good = cosine >= WORST_COSINE[dtype]
                reports.append(f"{dtype} {tower} cosine {cosine:.5f}")
            if not good:
                raise Failure(f"{', '.join(reports)}: outside the table")
    return ", ".join(reports)


def check_precisions(arch: str, clipon: Path, work: Path, isa: str, precisions: list[str]) -> str:
    """Both towers computed in a narrower type; each item must be the same bits alone on one thread."""
    golden = np.load(GOLDEN / "features" / (arch.replace("/", "-").replace("@", "-") + ".npz"))
    paths = [GOLDEN / "inputs/images" / str(name) for name in golden["image_names"]]
    model = convert(arch, work)
    items = {"image": ("--images", *paths), "text": ("--texts", work / "texts.json")}
    marks_of = {"image": DEEP_COSINES.get(arch, COMPUTED_COSINES), "text": TEXT_COSINES}
    reports = []
    for precision, tower in itertools.product(precisions, items):
        command = (clipon, "--model", model, "--isa", isa, "--precision", precision, "--truncate")
        embed = ("embed", "--raw", *items[tower], "-o")
        run(*command, *embed, work / "together.npy")
        run(*command, "--threads", 1, "--batch", 1, *embed, work / "alone.npy")
        found, expected = np.load(work / "together.npy"), golden[f"{tower}_features"]
        if not np.array_equal(found, np.load(work / "alone.npy")):
            raise Failure(f"{precision}: {tower}s alone on one thread differ from those in a batch")
        if precision == "f32":
            continue  # check() has compared these
        marks = marks_of[tower][precision]
        mean = expected.mean(axis=0)
        cosines = worst_cosine(found, expected), worst_cosine(found - mean, expected - mean)
        reports.append(f"{precision} {tower} cosine {cosines[0]:.5f}, centred {cosines[1]:.5f}")
        if not all(cosine >= mark for cosine, mark in zip(cosines, marks, strict=True)):
            raise Failure(f"{', '.join(reports)}: below {marks}")
    return ", ".join(reports)


def check(arch: str, clipon: Path, work: Path, shared: Path | None, isa: str) -> str:
    file_name = arch.replace("/", "-").replace("@", "-") + ".npz"
    golden = np.load(GOLDEN / "features" / file_name)
    model = convert(arch, work)
    names = [str(name) for name in golden["image_names"]]
    texts = work / "texts.json"
    texts.write_text(json.dumps([str(text) for text in golden["texts"]]))
    base = [clipon, "--model", model, "--isa", isa]
    tokens = [json.loads(line) for line in run(*base, "--truncate", "tokenize", "--texts", texts).splitlines()]
    for found, expected in zip(tokens, golden["tokens"], strict=True):
        if found != expected[: len(found)].tolist() or expected[len(found) :].any():
            raise Failure(f"tokens: expected {expected[expected > 0].tolist()}, found {found}")
    paths = [GOLDEN / "inputs/images" / name for name in names]
    run(*base, "embed", "--raw", "--images", *paths, "-o", work / "images.npy")
    run(*base, "--truncate", "embed", "--raw", "--texts", texts, "-o", work / "texts.npy")
    images, sentences = np.load(work / "images.npy"), np.load(work / "texts.npy")
    errors = {"image": worst_row(images, golden["image_features"])}
    errors["text"] = worst_row(sentences, golden["text_features"])

    # the scale is not stored with the features: it is what their cosines must be multiplied by
    unit_images = golden["image_features"] / np.linalg.norm(golden["image_features"], axis=1, keepdims=True)
    unit_texts = golden["text_features"] / np.linalg.norm(golden["text_features"], axis=1, keepdims=True)
    cosines = unit_images @ unit_texts.T
    scale = float((golden["logits_per_image"] * cosines).sum() / (cosines * cosines).sum())
    own = run(*base, "--json", "info")
    own_scale = json.loads(own)["model"]["logit_scale"]
    if abs(own_scale / scale - 1) > 1e-5:
        raise Failure(f"logit scale: expected {scale}, found {own_scale}")
    run(*base, "--truncate", "similarity", "--images", *paths, "--texts", texts, "-o", work / "cosines.npy")
    logits = np.load(work / "cosines.npy") * np.float32(own_scale)
    expected_logits = golden["logits_per_image"]
    errors["probability"] = float(np.abs(softmax(logits) - softmax(expected_logits)).max())
    errors["loss"] = abs(contrastive_loss(logits) - float(golden["contrastive_loss"]))

    limits = dict(TOLERANCE, image=LARGE_IMAGE_TOLERANCE if arch in LARGE else TOLERANCE["image"])
    report = ", ".join(f"{name} {error:.1e}" for name, error in errors.items())
    if failed := [name for name, error in errors.items() if not error <= limits[name]]:
        raise Failure(f"{report}: {', '.join(failed)} above {limits}")
    if shared is not None:
        expected = np.load(shared / "reference/expected" / file_name)["pixels"]
        report += "; " + compare_pixels(clipon, model, names, expected, work)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "architectures", metavar="ARCH", nargs="+", help="or tokens (golden/tokens.json), token-lines (100,000)"
    )
    parser.add_argument("--clipon", type=Path, required=True)
    parser.add_argument("--shared", type=Path)
    parser.add_argument("--dtypes", nargs="*", default=[], help="also files stored so: f16 bf16 int8")
    parser.add_argument("--precisions", nargs="*", default=[], help="both towers also computed in: f32 bf16 int8")
    parser.add_argument("--isa", default="best")
    parser.add_argument("--work", type=Path, help="where checkpoints are kept; a temporary folder when absent")
    options = parser.parse_args()
    failures = 0
    for arch in options.architectures:
        with tempfile.TemporaryDirectory(dir=options.work) as temporary:
            try:
                work = Path(temporary)
                if arch == "tokens":
                    report = check_tokens(options.clipon, work)
                elif arch == "token-lines":
                    report = check_token_lines(options.clipon, work)
                else:
                    report = check(arch, options.clipon, work, options.shared, options.isa)
                    if options.dtypes:
                        report += "; " + check_stored_types(arch, options.clipon, work, options.dtypes)
                    if options.precisions:
                        report += "; " + check_precisions(arch, options.clipon, work, options.isa, options.precisions)
                print(f"{arch}: {report}", flush=True)
            except Failure as failure:
                failures += 1
                print(f"{arch}: FAILED: {failure}", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
