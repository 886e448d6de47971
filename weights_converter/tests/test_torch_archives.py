"""Archives of torch.save and torch.jit.save give the same model file."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader

from clipon_convert import cli
from clipon_convert.hashes import PUBLISHED
from clipon_convert.sources.weights_file import read_weights
from conftest import (
    assert_same_tensors,
    convert,
    field,
    tensors,
)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_state_dict(
    converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    source, out = tmp_path / "state.pt", tmp_path / "state.gguf"
    state = OrderedDict((name, torch.from_numpy(values.copy()).to(dtype)) for name, values in weights.items())
    torch.save({"epoch": 3, "state_dict": {"module." + name: tensor for name, tensor in state.items()}}, source)
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    name = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 32}[dtype]
    assert field(out, "general.file_type") == name
    assert not {"general.license", "general.source.url", "clipon.training_data"} & set(GGUFReader(out).fields)
    assert field(out, "clipon.source") == "state.pt (OpenAI parameter names)"
    if dtype == torch.float32:
        assert_same_tensors(out, converted)
    assert convert(source, out, "--bpe", bpe, "--license", "CC0-1.0").returncode == 0
    assert field(out, "general.license") == "CC0-1.0"


def test_only_published_files_are_called_openais(
    source: Path, bpe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever config of others' lies beside them; what nobody says of other files is said to be assumed."""
    monkeypatch.setattr("signal.signal", lambda *_: None)
    out = tmp_path / "out.gguf"
    arguments = [str(part) for part in (source, out, "--bpe", bpe)]
    assert cli.main(arguments) == 0
    assert "so assumed: QuickGELU, attention heads of 64 channels" in capsys.readouterr().err
    assert GGUFReader(out).get_field("general.license") is None
    monkeypatch.setitem(PUBLISHED, source.name, hashlib.sha256(source.read_bytes()).hexdigest())
    (tmp_path / "open_clip_config.json").write_text('{"quick_gelu": false}')
    assert cli.main(arguments) == 0
    assert "assumed" not in capsys.readouterr().err
    assert field(out, "general.license") == "MIT"
    assert field(out, "general.source.url") == "https://github.com/openai/CLIP"
    assert field(out, "clipon.text.activation") == "quick_gelu"
    assert cli.main([*arguments, "--license", "CC0-1.0", "--quiet"]) == 0
    assert field(out, "general.license") == "CC0-1.0"


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_training_checkpoints(tmp_path: Path, protocol: int) -> None:
    """An optimizer's state has numbers as keys."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3, 2, 2)).sum().backward()
    optimizer.step()
    state = {"epoch": 1, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), "best": model[0].weight}
    torch.save(state, tmp_path / "epoch_1.pt", pickle_protocol=protocol)
    found = read_weights(tmp_path / "epoch_1.pt").weights
    assert set(found) == set(model.state_dict())
    np.testing.assert_array_equal(found["0.weight"], model[0].weight.detach().numpy())


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        (torch.float64, "f32"),
        (torch.float32, "f32"),
        (torch.float16, "f16"),
        (torch.bfloat16, "bf16"),
        (torch.int64, "f16"),
        (torch.int32, "f16"),
        (torch.int16, "f16"),
        (torch.int8, "f16"),
        (torch.uint8, "f16"),
        (torch.bool, "f16"),
    ],
)
def test_storage_types(tmp_path: Path, dtype: torch.dtype, stored: str) -> None:
    """The type of the result is that of most elements: not of most tensors, nor of integers."""
    values = torch.arange(12).reshape(3, 4).T.to(dtype)
    path = tmp_path / "a.pt"
    torch.save({"x": values, "none": torch.zeros(0, 3), "parameter": torch.nn.Parameter(torch.ones(2).half())}, path)
    read = read_weights(path)
    weights = read.weights
    assert read.stored_type == stored
    np.testing.assert_array_equal(weights["x"], values.float().numpy() if dtype.is_floating_point else values.numpy())
    if dtype.is_floating_point:
        assert weights["x"].dtype == (np.float16 if dtype == torch.float16 else np.float32)
    assert weights["none"].shape == (0, 3)
    assert weights["parameter"].tolist() == [1, 1]


class Part(torch.nn.Module):
    """A module whose parameters have the names that a nested dict gives."""

    def __init__(self, parameters: dict[str, object]) -> None:
        super().__init__()
        for name, value in parameters.items():
            if isinstance(value, dict):
                self.add_module(name, Part(value))
            else:
                self.register_parameter(name, torch.nn.Parameter(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def nested(weights: dict[str, np.ndarray]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for name, values in weights.items():
        at = tree
        *parents, leaf = name.split(".")
        for parent in parents:
            at = at.setdefault(parent, {})  # type: ignore[assignment]
        at[leaf] = torch.from_numpy(values.copy())
    return tree


@pytest.mark.parametrize("half", [False, True])
def test_torchscript_archive(
    converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path, half: bool
) -> None:
    source, out = tmp_path / "script.pt", tmp_path / "script.gguf"
    module = Part(nested(weights))
    torch.jit.save(torch.jit.trace(module.half() if half else module, torch.zeros(1)), source)
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    if half:
        assert field(out, "general.file_type") == 1
        np.testing.assert_array_equal(
            tensors(out)["v.patch_embd.weight"], weights["visual.conv1.weight"].astype(np.float16)
        )
    else:
        assert_same_tensors(out, converted)


def test_what_archives_hold_besides_weights(
    converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path
) -> None:
    """OpenAI's: three integers; others': the text tower's mask."""
    more = {name: torch.tensor(7) for name in ("input_resolution", "context_length", "vocab_size")}
    state = {name: torch.from_numpy(values.copy()) for name, values in weights.items()}
    torch.save({**state, **more, "attn_mask": torch.zeros(16, 16)}, tmp_path / "a.pt")
    done = convert(tmp_path / "a.pt", tmp_path / "a.gguf", "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert_same_tensors(tmp_path / "a.gguf", converted)
