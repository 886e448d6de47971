"""Options and shared pieces: where clipon is, converted checkpoints of made-up weights."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).resolve().parent.parent
GOLDEN = TESTS / "golden"
CONVERTER = TESTS.parent / "weights_converter"
sys.path.insert(0, str(CONVERTER))
sys.path.append(str(CONVERTER / "tests"))  # huggingface_names; last, since it has a conftest of its own


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clipon", type=Path, required=True)
    parser.addoption("--shared", type=Path, default=None)


class Clipon:
    """The command, with one model."""

    def __init__(self, command: Path, model: Path, work: Path) -> None:
        self.command, self.model, self.work = command, model, work

    def run(self, *arguments: object) -> str:
        line = [self.command, "--model", self.model, *arguments]
        done = subprocess.run([str(part) for part in line], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pixels(self, picture: Path) -> np.ndarray:
        self.run("preprocess", picture, "-o", self.work / "pixels.npy")
        return np.load(self.work / "pixels.npy")

    def images(self, pictures: list[Path]) -> np.ndarray:
        self.run("embed", "--raw", "--images", *pictures, "-o", self.work / "images.npy")
        return np.load(self.work / "images.npy")

    def texts(self, texts: list[str]) -> np.ndarray:
        (self.work / "texts.json").write_text(json.dumps(texts))
        self.run("--truncate", "embed", "--raw", "--texts", self.work / "texts.json", "-o", self.work / "texts.npy")
        return np.load(self.work / "texts.npy")

    def tokens(self, texts: list[str], context: int = 77) -> np.ndarray:
        (self.work / "texts.json").write_text(json.dumps(texts))
        ids = np.zeros((len(texts), context), np.int64)
        lines = self.run("--truncate", "tokenize", "--texts", self.work / "texts.json").splitlines()
        for row, line in zip(ids, lines, strict=True):
            values = json.loads(line)
            row[: len(values)] = values
        return ids


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config):  # noqa: ANN201
    """made(arch): checkpoint path and Clipon; each architecture is made once."""
    work = tmp_path_factory.mktemp("made")
    done: dict[str, tuple[Path, Clipon]] = {}

    def make(arch: str) -> tuple[Path, Clipon]:
        if arch not in done:
            stem = work / arch.replace("/", "-").replace("@", "-")
            checkpoint = stem.with_suffix(".safetensors")
            model = stem.with_suffix(".gguf")
            subprocess.run([sys.executable, GOLDEN / "make_checkpoint.py", arch, checkpoint], check=True)
            line = [sys.executable, "-m", "clipon_convert", checkpoint, model, "--quiet"]
            subprocess.run(line, cwd=CONVERTER, check=True)
            done[arch] = checkpoint, Clipon(pytestconfig.getoption("clipon").resolve(), model, work)
        return done[arch]

    return make


@pytest.fixture(scope="session")
def pictures() -> list[Path]:
    return sorted((GOLDEN / "inputs/images").iterdir())


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return list(json.loads((GOLDEN / "inputs/texts.json").read_text()))


def worst_row(found: np.ndarray, expected: np.ndarray) -> float:
    return float((np.linalg.norm(found - expected, axis=1) / np.linalg.norm(expected, axis=1)).max())
