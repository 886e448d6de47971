"""The command with the embedded model, and with a model of 32 px made here."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from safetensors.numpy import save_file

TESTS = Path(__file__).resolve().parent.parent
GOLDEN = TESTS / "golden"
SAMPLES = TESTS.parent / "models/samples"
CONVERTER = TESTS.parent / "weights_converter"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--clipon", type=Path, required=True)


class Command:
    """command(arguments) -> exit code, output, errors."""

    def __init__(self, program: Path, work: Path, *base: object) -> None:
        self.program, self.work, self.base = program, work, base

    def __call__(
        self, *arguments: object, timeout: float = 60, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        line = [str(part) for part in (self.program, *self.base, *arguments)]
        return subprocess.run(line, capture_output=True, text=True, check=False, timeout=timeout, cwd=cwd)

    @property
    def has_turbojpeg(self) -> bool:
        return json.loads(self("info", "--json").stdout)["jpeg"] == "libjpeg-turbo"


@pytest.fixture
def clipon(pytestconfig: pytest.Config, tmp_path: Path) -> Command:
    return Command(pytestconfig.getoption("clipon").resolve(), tmp_path)


@pytest.fixture(scope="session")
def converter_tests() -> ModuleType:
    """The converter tests' conftest: checkpoints, and how to convert them."""
    spec = importlib.util.spec_from_file_location("converter_conftest", CONVERTER / "tests/conftest.py")
    assert spec is not None and spec.loader is not None
    sys.path.insert(0, str(CONVERTER))
    sys.path.append(str(CONVERTER / "tests"))  # what that conftest imports
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def converted(module: ModuleType, weights: dict[str, np.ndarray], folder: Path) -> Path:
    save_file(weights, folder / "model.safetensors")
    (folder / "bpe_merges_6.txt").write_text("header\n" + "\n".join(module.MERGES) + "\n")
    done = module.convert(folder / "model.safetensors", folder / "model.gguf")
    assert done.returncode == 0, done.stderr
    return folder / "model.gguf"


@pytest.fixture(scope="session")
def model32(tmp_path_factory: pytest.TempPathFactory, converter_tests: ModuleType) -> Path:
    """The converter tests' checkpoint: a ViT of 32 px."""
    return converted(converter_tests, converter_tests.make_weights(), tmp_path_factory.mktemp("model32"))


@pytest.fixture
def clipon32(pytestconfig: pytest.Config, tmp_path: Path, model32: Path) -> Command:
    return Command(pytestconfig.getoption("clipon").resolve(), tmp_path, "--model", model32)


@pytest.fixture
def pictures(clipon: Command) -> Path:
    folder = clipon.work / "pictures"
    (folder / "deeper").mkdir(parents=True)
    for i, sample in enumerate(sorted(SAMPLES.glob("*.png"))):
        shutil.copy(sample, folder / ("deeper" if i % 2 else ".") / sample.name)
    return folder
