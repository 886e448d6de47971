"""The embedded model against openai/CLIP's own answers on it, and the accuracy that the model card states.

Needs --shared: the training data's held-out vendor is not part of the repository.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from conftest import worst_row

MODEL = Path(__file__).resolve().parents[2] / "models/clipon-demo.gguf"
TEMPLATES = ("{}", "a picture of {}", "an emoji of {}")


@pytest.fixture
def folder(pytestconfig: pytest.Config) -> Path:
    shared = pytestconfig.getoption("shared")
    if shared is None:
        pytest.fail("needs --shared DIR with demo_model/ (a skipped test would count as passed)")
    return shared / "demo_model"


def test_features_and_accuracy(folder: Path, pytestconfig: pytest.Config, tmp_path: Path) -> None:
    command = pytestconfig.getoption("clipon")

    def run(*arguments: object) -> None:
        line = [str(part) for part in (command, "--model", MODEL, *arguments)]
        subprocess.run(line, check=True, capture_output=True)

    rows = sorted(json.loads((folder / "openmoji.json").read_text()), key=lambda row: row["file"])
    labels = [row["label"] for row in rows]
    run("embed", "--raw", "--images", folder / "openmoji", "-o", tmp_path / "images.npy")
    images = np.load(tmp_path / "images.npy")
    expected = np.load(folder / "expected.npz")
    count = len(expected["image_features"])
    assert worst_row(images[:count], expected["image_features"]) < 1e-5

    prototypes = 0
    for template in TEMPLATES:
        (tmp_path / "texts.json").write_text(json.dumps([template.format(label) for label in labels]))
        run("--truncate", "embed", "--texts", tmp_path / "texts.json", "-o", tmp_path / "texts.npy")
        prototypes = prototypes + np.load(tmp_path / "texts.npy")
    prototypes = prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)
    units = images / np.linalg.norm(images, axis=1, keepdims=True)
    top1 = (units @ prototypes.T).argmax(1)
    right = np.array([labels[i] for i in top1]) == np.array(labels)
    reference = expected["top1_index_ensemble"]
    reference_right = np.array([labels[i] for i in reference]) == np.array(labels)
    print(f"top-1 {100 * right.mean():.2f} %, PyTorch {100 * reference_right.mean():.2f} %")
    assert abs(right.mean() - reference_right.mean()) < 0.002
    assert (top1 == reference).mean() > 0.998
