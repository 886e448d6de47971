"""Architectures from shapes, and the folding of BatchNorm."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from clipon_convert.architecture import name_of
from clipon_convert.checkpoint import (
    ModifiedResNetConfig,
    TextConfig,
    TransformerConfig,
    VisionTransformerConfig,
)
from clipon_convert.errors import ConversionError
from clipon_convert.sources.openai import from_weights
from clipon_convert.tensors import TensorList
from conftest import (
    convert,
    field,
    make_resnet_weights,
    make_weights,
)


def test_batch_norm_is_folded(tmp_path: Path) -> None:
    """The ResNet's convolutions with their BatchNorm, against torch's own batch_norm, in float64."""
    from clipon_convert.checkpoint import Checkpoint, ModifiedResNetConfig, TransformerConfig
    from clipon_convert.tensors import TensorList

    rng = np.random.default_rng(5)
    weights = {"c.weight": rng.standard_normal((6, 4, 3, 3))}
    for part in ("weight", "bias", "running_mean"):
        weights[f"n.{part}"] = rng.standard_normal(6)
    weights["n.running_var"] = rng.uniform(0.1, 2, 6)
    text = TextConfig(TransformerConfig(64, 1, 1, 256), 16, 10)
    checkpoint = Checkpoint(weights, 8, text, ModifiedResNetConfig((1, 1, 1, 1), 16, 8, 32))
    weight, bias = (t.data for t in TensorList(checkpoint).convolution("out", "c", "n", 6, 4, 3))
    x = torch.from_numpy(rng.standard_normal((2, 4, 9, 9)))
    w = {name: torch.from_numpy(values) for name, values in weights.items()}
    expected = torch.nn.functional.conv2d(x, w["c.weight"], padding=1)
    expected = torch.nn.functional.batch_norm(
        expected, w["n.running_mean"], w["n.running_var"], w["n.weight"], w["n.bias"]
    )
    found = torch.nn.functional.conv2d(x, torch.from_numpy(weight).double(), torch.from_numpy(bias).double(), padding=1)
    # the folded weights are rounded to float32: 36 products, each off by 2^-24 of itself
    assert float((found - expected).abs().max()) < 36 * 2**-24 * float(found.abs().max())


@pytest.mark.parametrize(
    "name", ["visual.bn4.running_mean", "visual.layer2.1.downsample.0.weight", "visual.conv4.weight"]
)
def test_resnets_with_weights_that_have_no_place(name: str) -> None:
    weights = make_resnet_weights()
    assert len(list(TensorList(from_weights(weights, "f32")))) > 0
    with pytest.raises(ConversionError, match=f"weight '{name}': the architecture has no such"):
        list(TensorList(from_weights({**weights, name: np.zeros(4, np.float32)}, "f32")))


def test_variances_of_batch_norms() -> None:
    weights = make_resnet_weights()
    name = "visual.layer2.1.bn3.running_var"
    weights[name] = np.zeros_like(weights[name])
    assert all(np.isfinite(tensor.data).all() for tensor in TensorList(from_weights(weights, "f32")))
    weights[name] = weights[name] - np.float32(1e-6)  # less than the epsilon makes up for
    with pytest.raises(ConversionError, match=f"weight '{name}': expected no negative variance"):
        list(TensorList(from_weights(weights, "f32")))


def test_batch_norm_is_folded_in_float64() -> None:
    """Of half-precision archives, whose statistics' products overflow f16; rounded once, to float32."""
    half = {name: values.astype(np.float16) for name, values in make_resnet_weights().items()}
    half["visual.bn1.running_mean"] = np.full(2, 6e4, np.float16)
    half["visual.bn1.weight"] = np.full(2, 100, np.float16)
    found = {tensor.name: tensor.data for tensor in TensorList(from_weights(half, "f16"))}
    gain, bias, mean, variance = (
        half[f"visual.bn1.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gain / np.sqrt(variance + 1e-5)
    weight = half["visual.conv1.weight"].astype(np.float64) * scale.reshape(-1, 1, 1, 1)
    np.testing.assert_array_equal(found["v.stem.0.weight"], weight.astype(np.float32))
    np.testing.assert_array_equal(found["v.stem.0.bias"], (bias - mean * scale).astype(np.float32))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"transformer.resblocks.1": "transformer.resblocks.2"}, "expected numbers from 0 without a gap, found [0, 2]"),
        ({"transformer.resblocks.0": "transformer.resblocks.2"}, "expected numbers from 0 without a gap, found [1, 2]"),
        ({"transformer.resblocks": "transformer.blocks"}, "expected numbers from 0 without a gap, found []"),
        ({"visual.proj": "visual.projection"}, "image tower: expected OpenAI's ViT"),
    ],
)
def test_architectures_with_gaps(weights: dict[str, np.ndarray], change: dict[str, str], why: str) -> None:
    ((old, new),) = change.items()
    renamed = {
        new + name.removeprefix(old) if name.startswith(old) else name: values for name, values in weights.items()
    }
    with pytest.raises(ConversionError, match=re.escape(why)):
        from_weights(renamed, "f32")


@pytest.mark.parametrize("positions", [0, 1, 4])
def test_positions_that_are_no_square(positions: int) -> None:
    weights = make_weights()
    weights["visual.positional_embedding"] = np.zeros((positions, 64), np.float32)
    why = f"'visual.positional_embedding': expected a square number of positions, found {positions - 1}$"
    with pytest.raises(ConversionError, match=why):
        from_weights(weights, "f32")


def test_widths_that_are_no_multiple_of_64(tmp_path: Path, bpe: Path) -> None:
    """The heads are in a config, or nowhere."""
    source, out = tmp_path / "a.safetensors", tmp_path / "out.gguf"
    save_file(make_weights(width=96), source)
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 1
    assert done.stderr == (
        "clipon_convert: text tower: expected a width that is a multiple of 64, or a config beside the weights that "
        "says how many attention heads it has, found 96\n"
    )
    heads: dict[str, object] = {"model_type": "clip-openai", "transformer_heads": 3}
    (tmp_path / "config.json").write_text(json.dumps(heads))
    assert "image tower: expected a width that is" in convert(source, out, "--bpe", bpe).stderr
    (tmp_path / "config.json").write_text(json.dumps(heads | {"vision_heads": 6}))
    assert convert(source, out, "--bpe", bpe).returncode == 0
    assert [field(out, f"clip.{tower}.attention.head_count") for tower in ("text", "vision")] == [3, 6]
    open_clip = {"text_cfg": {"heads": 2}, "vision_cfg": {"head_width": 24}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(open_clip))
    assert convert(source, out, "--bpe", bpe).returncode == 0
    assert [field(out, f"clip.{tower}.attention.head_count") for tower in ("text", "vision")] == [2, 4]


def test_heads_of_64_channels() -> None:
    checkpoint = from_weights(make_weights(width=128), "f32")
    assert (checkpoint.text.transformer.heads, checkpoint.vision.transformer.heads) == (2, 2)


@pytest.mark.parametrize(
    ("name", "vision"),
    [
        ("ViT-B/32", (768, 12, 32, 224)),
        ("ViT-B/16", (768, 12, 16, 224)),
        ("ViT-L/14", (1024, 24, 14, 224)),
        ("ViT-L/14@336px", (1024, 24, 14, 336)),
        ("ViT-768x12/32@256px", (768, 12, 32, 256)),
        ("RN50", ((3, 4, 6, 3), 64, 224)),
        ("RN101", ((3, 4, 23, 3), 64, 224)),
        ("RN50x4", ((4, 6, 10, 6), 80, 288)),
        ("RN50x16", ((6, 8, 18, 8), 96, 384)),
        ("RN50x64", ((3, 15, 36, 10), 128, 448)),
        ("RN-3-4-6-3@256px", ((3, 4, 6, 3), 64, 256)),
    ],
)
def test_names_of_published_models(name: str, vision: tuple) -> None:
    if isinstance(vision[0], tuple):
        blocks, width, size = vision
        assert name_of(ModifiedResNetConfig(blocks, width, width // 2, size)) == name
    else:
        width, layers, patch, size = vision
        assert name_of(VisionTransformerConfig(TransformerConfig(width, layers, 1, 1), size, patch)) == name
