"""What the library would refuse is refused before it is written: up to its limits, and not beyond."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from clipon_convert import limits
from clipon_convert.checkpoint import (
    Checkpoint,
    ModifiedResNetConfig,
    TextConfig,
    TransformerConfig,
    VisionTransformerConfig,
)
from clipon_convert.errors import ConversionError
from conftest import HERE, convert, field, make_weights

LIBRARY = HERE.parents[1] / "include/clipon"


def test_the_limits_are_the_librarys() -> None:
    config = (LIBRARY / "models/config.hpp").read_text()
    found = {name: int(value) for name, value in re.findall(r"constexpr \S+ kMax(\w+) = (\d+);", config)}
    assert found == {
        "Width": limits.MAX_WIDTH,
        "Layers": limits.MAX_LAYERS,
        "ImageSize": limits.MAX_IMAGE_SIZE,
        "Context": limits.MAX_CONTEXT,
        "Heads": limits.MAX_HEADS,
        "PatchSize": limits.MAX_PATCH_SIZE,
        "Grid": limits.MAX_GRID,
        "Expansion": limits.MAX_EXPANSION,
    }
    registry = (LIBRARY / "models/registry.hpp").read_text()
    for key, most in (("scale", limits.MAX_LOGIT_SCALE), ("bias", limits.MAX_LOGIT_BIAS)):
        (found_most,) = re.findall(rf'"clipon\.logit_{key}", -\S+, ([\d.e]+)\)', registry)
        assert float(found_most) == most
    (exponent,) = re.findall(r"max_array_length = 1 << (\d+);", (LIBRARY / "options.hpp").read_text())
    assert 1 << int(exponent) == limits.MAX_VOCABULARY


def vit(**changed: int) -> Checkpoint:
    """A ViT as large as may be: `changed` are its sizes that are other than that."""
    sizes = {"width": 16384, "layers": 256, "heads": 256, "feed_forward": 16 * 16384, "image": 1024, "patch": 128}
    sizes |= {"context": 4096, "vocabulary": 1 << 20, "embed_dim": 16384} | changed
    transformer = TransformerConfig(sizes["width"], sizes["layers"], sizes["heads"], sizes["feed_forward"])
    text = TextConfig(transformer, sizes["context"], sizes["vocabulary"])
    vision = VisionTransformerConfig(transformer, sizes["image"], sizes["patch"])
    weights = {"logit_scale": np.array(4.6, np.float32)}
    return Checkpoint(weights, sizes["embed_dim"], text, vision)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"width": 16385}, "text tower: width: expected a whole number from 1 to 16384, found 16385"),
        ({"layers": 257}, "text tower: layers: expected a whole number from 1 to 256"),
        ({"heads": 512}, "text tower: attention heads: expected a whole number from 1 to 256, found 512"),
        ({"feed_forward": 16 * 16384 + 1}, "feed-forward layer: expected a whole number from 1 to 262144"),
        ({"image": 1025}, "image tower: image size: expected a whole number from 1 to 1024"),
        ({"patch": 256}, "image tower: patch size: expected a whole number from 1 to 128, found 256"),
        ({"patch": 8}, "image tower: patches along a side: expected a whole number from 1 to 64, found 128"),
        ({"context": 4097}, "text tower: context length: expected a whole number from 2 to 4096"),
        ({"context": 1}, "text tower: context length: expected a whole number from 2 to 4096"),
        ({"vocabulary": (1 << 20) + 1}, "text tower: vocabulary: expected a whole number from 2 to 1048576"),
        ({"embed_dim": 16385}, "width of the embeddings: expected a whole number from 1 to 16384"),
    ],
)
def test_vision_transformers_beyond_the_limits(changed: dict[str, int], why: str) -> None:
    limits.check(vit())
    with pytest.raises(ConversionError, match=why):
        limits.check(vit(**changed))


@pytest.mark.parametrize(
    ("width", "heads", "blocks", "why"),
    [
        (512, 256, (256, 1, 1, 256), None),
        (513, 27, (1, 1, 1, 1), "image tower: width: expected a whole number from 2 to 512, found 513"),
        (7, 4, (1, 1, 1, 1), "image tower: width: expected an even number, found 7"),
        (512, 512, (1, 1, 1, 1), "image tower: attention heads: expected a whole number from 1 to 256, found 512"),
        (512, 256, (1, 257, 1, 1), "image tower: bottlenecks of a stage: expected a whole number from 1 to 256"),
    ],
)
def test_resnets_beyond_the_limits(width: int, heads: int, blocks: tuple[int, int, int, int], why: str | None) -> None:
    checkpoint = vit()
    checkpoint.vision = ModifiedResNetConfig(blocks, width, heads, 1024)
    if why is None:
        limits.check(checkpoint)
        return
    with pytest.raises(ConversionError, match=why):
        limits.check(checkpoint)


@pytest.mark.parametrize(
    ("name", "values", "why"),
    [
        ("logit_scale", np.float32(10), None),
        ("logit_scale", np.full(1, -10, np.float32), None),
        ("logit_scale", np.float32(10.01), "expected a number from -10 to 10, found 10.01"),
        ("logit_scale", np.float32(-10.01), "expected a number from -10 to 10, found -10.01"),
        ("logit_scale", np.float32(np.nan), "expected a number from -10 to 10, found nan"),
        ("logit_scale", np.full(5, 4.6, np.float32), r"expected one number, found shape \[5\]"),
        ("logit_scale", np.zeros(0, np.float32), r"expected one number, found shape \[0\]"),
        ("logit_bias", np.float32(-1e4), None),
        ("logit_bias", np.float32(1.1e4), "expected a number from -10000 to 10000, found 11000"),
        ("logit_bias", np.float32(np.inf), "expected a number from -10000 to 10000, found inf"),
        ("logit_bias", np.zeros((2, 1), np.float32), r"expected one number, found shape \[2, 1\]"),
    ],
)
def test_scale_and_bias_of_the_logits(name: str, values: np.ndarray, why: str | None) -> None:
    checkpoint = vit()
    checkpoint.weights[name] = np.asarray(values)
    if why is None:
        limits.check(checkpoint)
        return
    with pytest.raises(ConversionError, match=f"weight '{name}': {why}"):
        limits.check(checkpoint)


def test_scales_of_several_numbers_leave_no_file(tmp_path: Path, bpe: Path) -> None:
    source, out = tmp_path / "a.safetensors", tmp_path / "out.gguf"
    for size in (0, 5):
        save_file(make_weights() | {"logit_scale": np.full(size, 2, np.float32)}, source)
        done = convert(source, out, "--bpe", bpe)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert f"weight 'logit_scale': expected one number, found shape [{size}]" in done.stderr
        assert not out.exists()
    save_file(make_weights() | {"logit_scale": np.full(1, 2, np.float32)}, source)
    assert convert(source, out, "--bpe", bpe).returncode == 0
    assert field(out, "clipon.logit_scale") == 2
