"""InfoNCE's gradients against PyTorch's autograd; the linear probe against scikit-learn and PyTorch."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

Tool = Callable[..., np.ndarray]


@pytest.fixture
def tool(pytestconfig: pytest.Config, tmp_path: Path) -> Tool:
    """tool(command, argument...): arrays go as raw files; the last argument but for the result file is up to it."""
    program = pytestconfig.getoption("clipon").resolve().parent / "tests/parity_tool"

    def run(command: str, *arguments: object) -> np.ndarray:
        line: list[str] = [str(program), command]
        for i, argument in enumerate(arguments):
            if isinstance(argument, np.ndarray):
                argument.tofile(tmp_path / f"{i}.bin")
                line.append(str(tmp_path / f"{i}.bin"))
            else:
                line.append(str(argument))
        subprocess.run([*line, tmp_path / "out.bin"], check=True)
        return np.fromfile(tmp_path / "out.bin", np.float64)

    return run


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("n", "scale"), [(2, 1.0), (37, 14.3), (300, 100.0), (1500, 50.0)])
def test_contrastive_gradients(tool: Tool, n: int, scale: float) -> None:
    rng = np.random.default_rng(n)
    images = unit(rng.standard_normal((n, 64)))
    texts = unit(images + 0.2 * rng.standard_normal((n, 64)))
    found = tool("contrastive", images, texts, n, 64, scale)
    a = torch.tensor(images, dtype=torch.float64, requires_grad=True)
    b = torch.tensor(texts, dtype=torch.float64, requires_grad=True)
    s = torch.tensor(scale, dtype=torch.float64, requires_grad=True)
    logits = s * a @ b.T
    pairs = torch.arange(n)
    loss = (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2
    loss.backward()
    assert found[0] == pytest.approx(loss.item(), rel=1e-5)
    assert found[1] == pytest.approx(s.grad.item(), rel=1e-5, abs=1e-7)
    for values, tensor in zip(np.split(found[2:], 2), (a, b), strict=True):
        expected = tensor.grad.numpy()
        assert np.linalg.norm(values.reshape(n, 64) - expected) < 1e-5 * np.linalg.norm(expected)


def examples(seed: int, n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    centres = np.random.default_rng(1).standard_normal((k, d))
    rng = np.random.default_rng(seed)
    classes = rng.integers(0, k, n)
    return unit(centres[classes] + 2.5 * rng.standard_normal((n, d))), classes.astype(np.int64)


def objective(x: np.ndarray, y: np.ndarray, w: np.ndarray, b: np.ndarray, c: float) -> float:
    logits = torch.tensor(x.astype(np.float64) @ w.T + b)
    return F.cross_entropy(logits, torch.tensor(y)).item() + (w**2).sum() / (2 * c * len(y))


@pytest.mark.parametrize("c", [0.1, 31.6, 1000.0])
def test_logistic_regression(tool: Tool, c: float) -> None:
    n, d, k = 600, 48, 7
    x, y = examples(2, n, d, k)
    found = tool("probe", x, y, n, d, k, c, "-")
    w, b = found[3 : 3 + k * d].reshape(k, d), found[3 + k * d :]
    model = LogisticRegression(C=c, tol=1e-8, max_iter=10000).fit(x.astype(np.float64), y)
    expected = objective(x, y, model.coef_, model.intercept_, c)
    assert found[2] == 1.0
    assert found[0] == pytest.approx(expected, rel=1e-4)
    assert objective(x, y, w, b, c) == pytest.approx(expected, rel=1e-4)
    queries, _ = examples(3, 5000, d, k)
    agree = (queries @ w.T + b).argmax(1) == model.predict(queries.astype(np.float64))
    assert agree.mean() >= 0.995


def test_zero_shot_start(tool: Tool, pytestconfig: pytest.Config) -> None:
    """The penalty is on the distance from the prior: PyTorch's own L-BFGS in double on the same objective."""
    n, d, k, c = 200, 32, 5, 5.0
    x, y = examples(4, n, d, k)
    prior = unit(np.random.default_rng(5).standard_normal((k, d)))
    info = subprocess.run([pytestconfig.getoption("clipon"), "info", "--json"], capture_output=True, check=True)
    scale = json.loads(info.stdout)["model"]["logit_scale"]
    found = tool("probe", x, y, n, d, k, c, prior)
    start = torch.tensor(prior, dtype=torch.float64) * scale
    w = start.clone().requires_grad_()
    b = torch.zeros(k, dtype=torch.float64, requires_grad=True)
    rows, classes = torch.tensor(x, dtype=torch.float64), torch.tensor(y)
    optimiser = torch.optim.LBFGS([w, b], max_iter=2000, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(rows @ w.T + b, classes) + ((w - start) ** 2).sum() / (2 * c * n)
        loss.backward()
        return loss

    optimiser.step(closure)
    expected = closure().item()
    assert found[0] == pytest.approx(expected, rel=1e-4)
    assert np.abs(found[3 : 3 + k * d].reshape(k, d) - w.detach().numpy()).max() < 0.01
