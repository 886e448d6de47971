"""Zero-shot, ensemble, few-shot, linear probe and unknown pictures on the vendor that was never trained on: what the
command `clipon` answers, beside the same computation in PyTorch and scikit-learn on PyTorch's own embeddings.

    python adaptation.py --clipon ../../build/release/clipon --openmoji FOLDER [--weights demo.safetensors]

FOLDER holds openmoji.json (a list of {"file", "label", "group"}) and the pictures it names. Token ids are taken from
clipon, whose tests hold them equal to the original tokenizer's. Prints a table in Markdown; exit
code 1 if a figure differs by more than 0.2 points. Needs torch, scikit-learn, numpy, Pillow.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "weights_converter"))

from clipon_convert.cli import read_source  # noqa: E402
from clipon_convert.reference_model import ReferenceModel  # noqa: E402

TEMPLATES = ("{}", "a picture of {}", "an emoji of {}")
BACKGROUND = ("a picture", "something", "an object", "a symbol")
KNOWN_GROUPS = ("Animals & Nature", "Food & Drink")  # of the reject test; the other groups' pictures are unknown
LIMIT = 0.2  # points
ALPHA, BETA = 1.0, 5.5  # Tip-Adapter's, as clipon's defaults
FEW_SHOT_C = 31.6


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Clipon:
    def __init__(self, command: Path, work: Path) -> None:
        self.command, self.work = command, work

    def run(self, *arguments: object) -> str:
        line = [str(part) for part in (self.command, *arguments)]
        return subprocess.run(line, check=True, capture_output=True, text=True).stdout

    def json(self, *arguments: object) -> Any:  # noqa: ANN401
        return json.loads(self.run(*arguments, "--json"))

    def write_csv(self, name: str, rows: list[tuple[str, str]]) -> Path:
        path = self.work / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("path", "label"), *rows])
        return path

    def write_lines(self, name: str, lines: list[str]) -> Path:
        path = self.work / name
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return path


class PyTorch:
    """Unit embeddings by plain PyTorch."""

    def __init__(self, weights: Path, clipon: Clipon) -> None:
        self.model, self.clipon = ReferenceModel(read_source(weights, None)[0]), clipon
        info = clipon.json("info")["model"]
        self.size, self.context, self.scale = info["image_size"], info["context_length"], info["logit_scale"]

    def images(self, paths: list[Path]) -> np.ndarray:
        pixels = [
            np.asarray(Image.open(path).resize((self.size, self.size), Image.Resampling.BICUBIC).convert("RGB"))
            for path in paths
        ]
        return unit(
            np.concatenate([self.model.encode_image(np.stack(pixels[i : i + 256])) for i in range(0, len(pixels), 256)])
        )

    def texts(self, texts: list[str]) -> np.ndarray:
        lines = self.clipon.run("--truncate", "tokenize", "--texts", self.clipon.write_lines("texts.txt", texts))
        ids = np.zeros((len(texts), self.context), np.int64)
        for row, line in zip(ids, lines.splitlines(), strict=True):
            values = json.loads(line)
            row[: len(values)] = values
        return unit(np.concatenate([self.model.encode_text(ids[i : i + 512]) for i in range(0, len(ids), 512)]))

    def prototypes(self, labels: list[str], templates: tuple[str, ...] = TEMPLATES) -> np.ndarray:
        return unit(sum(self.texts([text.replace("{}", label) for label in labels]) for text in templates))


class Table:
    def __init__(self) -> None:
        self.worst = 0.0
        print("| what | clipon | PyTorch, scikit-learn |\n| --- | --- | --- |")

    def row(self, what: str, found: float, expected: float) -> None:
        """Shares, printed as percentages."""
        self.worst = max(self.worst, 100 * abs(found - expected))
        print(f"| {what} | {100 * found:.2f} % | {100 * expected:.2f} % |", flush=True)


def zero_shot(
    table: Table, clipon: Clipon, torch_side: PyTorch, vectors: dict[str, np.ndarray], labels: list[str]
) -> None:
    """All labels, one template and the ensemble.  labels: of each of the pictures that `vectors` names."""
    images = np.stack(list(vectors.values()))
    names = clipon.write_lines("labels.txt", labels)
    for what, templates in (("zero-shot, {}", TEMPLATES[:1]), ("zero-shot, ensemble of three", TEMPLATES)):
        flags = [part for text in templates for part in ("--template", text)]
        results = clipon.json("--truncate", "classify", *vectors, "--labels-file", names, *flags, "--top", 1)["results"]
        found = [r["predictions"][0]["label"] == label for r, label in zip(results, labels, strict=True)]
        best = (images @ torch_side.prototypes(labels, templates).T).argmax(1)
        expected = [labels[i] == label for i, label in zip(best, labels, strict=True)]
        table.row(f"{len(labels)} labels, {what}", float(np.mean(found)), float(np.mean(expected)))


def few_shot(table: Table, clipon: Clipon, torch_side: PyTorch, data: Path, vectors: dict[str, np.ndarray],
             classes: dict[str, str]) -> None:  # fmt: skip
    """The curve over the groups, on the very pictures that clipon drew."""
    flags = [part for text in TEMPLATES for part in ("--template", text)]
    curve = clipon.json("probe", "curve", data, *flags)
    labels = curve["labels"]
    prototypes = torch_side.prototypes(labels)

    def load(paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
        return np.stack([vectors[path] for path in paths]), np.array([labels.index(classes[path]) for path in paths])

    test, truth = load(curve["test"])
    table.row(
        f"{len(labels)} groups, zero-shot", curve["zero_shot"], float(((test @ prototypes.T).argmax(1) == truth).mean())
    )
    for shots in sorted({run["shots"] for run in curve["runs"]}):
        runs = [run for run in curve["runs"] if run["shots"] == shots]
        expected: dict[str, list[float]] = {"probe": [], "probe_zero_shot": [], "tip_adapter": []}
        for run in runs:
            x, y = load(run["train"])
            model = LogisticRegression(C=FEW_SHOT_C, tol=1e-8, max_iter=10000).fit(x, y)
            expected["probe"].append((model.predict(test) == truth).mean())
            w, b = fit_from(torch_side.scale * prototypes, x, y)
            expected["probe_zero_shot"].append(((test @ w.T + b).argmax(1) == truth).mean())
            votes = np.exp(-BETA * (1 - test @ x.T)) @ np.eye(len(labels))[y]
            logits = torch_side.scale * test @ prototypes.T + ALPHA * votes
            expected["tip_adapter"].append((logits.argmax(1) == truth).mean())
        for key, name in (
            ("probe", "probe"),
            ("probe_zero_shot", "probe from zero-shot"),
            ("tip_adapter", "Tip-Adapter"),
        ):
            found = float(np.mean([run[key] for run in runs]))
            table.row(
                f"{len(labels)} groups, {shots} shots, {name} (mean of {len(runs)})",
                found,
                float(np.mean(expected[key])),
            )


def fit_from(start: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logistic regression whose penalty is on the distance from `start`, by PyTorch's L-BFGS in double."""
    origin = torch.tensor(start, dtype=torch.float64)
    w = origin.clone().requires_grad_()
    b = torch.zeros(len(start), dtype=torch.float64, requires_grad=True)
    rows, classes = torch.tensor(x, dtype=torch.float64), torch.tensor(y)
    optimiser = torch.optim.LBFGS([w, b], max_iter=2000, tolerance_grad=1e-9, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(rows @ w.T + b, classes)
        loss = loss + ((w - origin) ** 2).sum() / (2 * FEW_SHOT_C * len(y))
        loss.backward()
        return loss

    optimiser.step(closure)
    return w.detach().numpy(), b.detach().numpy()


def linear_probe(table: Table, clipon: Clipon, vectors: dict[str, np.ndarray], classes: dict[str, str]) -> None:
    """Every fourth picture is for the test, every fourth chooses C, the others teach; both sides sweep C themselves."""
    paths = list(classes)
    parts = [[path for i, path in enumerate(paths) if i % 4 in group] for group in ((0, 1), (2,), (3,))]
    train = clipon.write_csv("train.csv", [(path, classes[path]) for path in parts[0]])
    validation = clipon.write_csv("validation.csv", [(path, classes[path]) for path in parts[1]])
    probe = clipon.work / "probe.gguf"
    fitted = clipon.json("probe", "train", train, "--validation", validation, "-o", probe)
    results = clipon.json("probe", "predict", probe, *parts[2], "--top", 1)["results"]
    found = float(np.mean([r["predictions"][0]["label"] == classes[r["path"]] for r in results]))
    x, v, t = (np.stack([vectors[path] for path in part]) for part in parts)
    y, u, truth = (np.array([classes[path] for path in part]) for part in parts)

    def fit(c: float, rows: np.ndarray, names: np.ndarray) -> LogisticRegression:
        return LogisticRegression(C=c, tol=1e-7, max_iter=10000).fit(rows, names)

    accuracy = {step["c"]: float((fit(step["c"], x, y).predict(v) == u).mean()) for step in fitted["sweep"]}
    best = max(accuracy, key=lambda c: (accuracy[c], -c))
    final = fit(best, np.concatenate([x, v]), np.concatenate([y, u]))
    what = f"{len(set(y))} groups, linear probe, {len(x) + len(v)} pictures, C {fitted['c']:.3g} and {best:.3g}"
    table.row(what, found, float((final.predict(t) == truth).mean()))


def unknown(
    table: Table, clipon: Clipon, torch_side: PyTorch, rows: list[dict[str, Any]], vectors: dict[str, np.ndarray]
) -> None:
    """Labels of two groups, pictures of all: does a rule tell the other groups' pictures?"""
    labels = sorted({row["label"] for row in rows if row["group"] in KNOWN_GROUPS})
    data = clipon.write_csv("unknown.csv", [(row["path"], row["label"]) for row in rows])
    names = clipon.write_lines("known.txt", labels)
    flags = [part for text in TEMPLATES for part in ("--template", text)]
    flags += ["--background", ",".join(BACKGROUND)]
    rules = clipon.json("classify", "--labels-file", names, *flags, "--calibrate", data, "--target-precision", 0.8)[
        "calibration"
    ]
    images = np.stack([vectors[row["path"]] for row in rows])
    cosines = images @ torch_side.prototypes(labels).T
    background = (images @ torch_side.texts(list(BACKGROUND)).T).max(1)
    sorted_cosines = np.sort(cosines, axis=1)
    scores = {
        "cosine": sorted_cosines[:, -1],
        "margin": sorted_cosines[:, -1] - sorted_cosines[:, -2],
        "background": sorted_cosines[:, -1] - background,
    }
    known = np.array([row["label"] in labels for row in rows])
    best = cosines.argmax(1)
    right = np.array([labels[i] == row["label"] for i, row in zip(best, rows, strict=True)])
    for rule in rules:
        score = scores[rule["rule"]]
        what = (
            f"{len(labels)} labels, {known.sum()} known and {(~known).sum()} unknown pictures, by {rule['rule']}: AUROC"
        )
        table.row(f"{what} of known", rule["auroc_known"], float(roc_auc_score(known, score)))
        table.row(f"{what} of right answers", rule["auroc_right"], float(roc_auc_score(right, score)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clipon", type=Path, required=True)
    parser.add_argument("--openmoji", type=Path, required=True)
    parser.add_argument("--weights", type=Path, default=HERE / "run/model.safetensors")
    options = parser.parse_args()
    rows = sorted(json.loads((options.openmoji / "openmoji.json").read_text()), key=lambda row: row["file"])
    for row in rows:
        row["path"] = str((options.openmoji / row["file"]).resolve())
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        clipon = Clipon(options.clipon.resolve(), Path(folder))
        torch_side = PyTorch(options.weights, clipon)
        pictures = [Path(row["path"]) for row in rows]
        vectors = dict(zip([row["path"] for row in rows], torch_side.images(pictures), strict=True))
        classes = {row["path"]: row["group"] for row in rows}
        table = Table()
        zero_shot(table, clipon, torch_side, vectors, [row["label"] for row in rows])
        few_shot(table, clipon, torch_side, clipon.write_csv("groups.csv", list(classes.items())), vectors, classes)
        linear_probe(table, clipon, vectors, classes)
        unknown(table, clipon, torch_side, rows, vectors)
    print(f"\nThe largest difference is {table.worst:.2f} points.")
    return 0 if table.worst <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
