"""The architecture of a checkpoint with OpenAI's parameter names, from the shapes of its weights.

openai/CLIP clip/model.py, build_model; heads are width // 64 there, and so here, unless a config says otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from clipon_convert.checkpoint import (
    Array,
    ModifiedResNetConfig,
    TextConfig,
    TransformerConfig,
    VisionTransformerConfig,
)
from clipon_convert.errors import ConversionError

UNKNOWN_HEADS = 0  # of a width that is no multiple of 64, where only a config can say
# width, layers, patch and image size (or a ResNet's blocks and image size) of the published models
_NAMES: dict[tuple[object, ...], str] = {
    (768, 12, 32, 224): "ViT-B/32",
    (768, 12, 16, 224): "ViT-B/16",
    (1024, 24, 14, 224): "ViT-L/14",
    (1024, 24, 14, 336): "ViT-L/14@336px",
    ((3, 4, 6, 3), 224): "RN50",
    ((3, 4, 23, 3), 224): "RN101",
    ((4, 6, 10, 6), 288): "RN50x4",
    ((6, 8, 18, 8), 384): "RN50x16",
    ((3, 15, 36, 10), 448): "RN50x64",
}


def shape_of(weights: Mapping[str, Array], name: str, dimensions: int) -> tuple[int, ...]:
    if name not in weights:
        raise ConversionError(f"weight '{name}': expected it, with {dimensions} dimensions, found no such weight")
    shape = weights[name].shape
    if len(shape) != dimensions:
        raise ConversionError(f"weight '{name}': expected {dimensions} dimensions, found shape {list(shape)}")
    return shape


def count(weights: Mapping[str, Array], pattern: str) -> int:
    """How many numbers the group in `pattern` takes; they must be 0, 1, 2, ..."""
    found = {int(match.group(1)) for name in weights if (match := re.match(pattern, name))}
    if not found or found != set(range(len(found))):
        raise ConversionError(f"weights '{pattern}': expected numbers from 0 without a gap, found {sorted(found)[:8]}")
    return len(found)


def square_root(number: int, what: str) -> int:
    root = math.isqrt(max(number, 0))
    if root < 1 or root * root != number:
        raise ConversionError(f"{what}: expected a square number of positions, found {number}")
    return root


def infer_transformer(weights: Mapping[str, Array], prefix: str, width: int) -> TransformerConfig:
    layers = count(weights, re.escape(prefix) + r"resblocks\.(\d+)\.")
    feed_forward = shape_of(weights, prefix + "resblocks.0.mlp.c_fc.weight", 2)[0]
    return TransformerConfig(width, layers, width // 64 if width % 64 == 0 else UNKNOWN_HEADS, feed_forward)


def infer_text(weights: Mapping[str, Array]) -> TextConfig:
    vocabulary, width = shape_of(weights, "token_embedding.weight", 2)
    context = shape_of(weights, "positional_embedding", 2)[0]
    return TextConfig(infer_transformer(weights, "transformer.", width), context, vocabulary)


def infer_vision(weights: Mapping[str, Array]) -> VisionTransformerConfig | ModifiedResNetConfig:
    if "visual.proj" in weights:
        width, _, patch, _ = shape_of(weights, "visual.conv1.weight", 4)
        positions = shape_of(weights, "visual.positional_embedding", 2)[0]
        grid = square_root(positions - 1, "weight 'visual.positional_embedding'")
        return VisionTransformerConfig(infer_transformer(weights, "visual.transformer.", width), grid * patch, patch)
    if "visual.attnpool.positional_embedding" in weights:
        blocks = [count(weights, rf"visual\.layer{stage}\.(\d+)\.") for stage in range(1, 5)]
        width = shape_of(weights, "visual.layer1.0.conv1.weight", 4)[0]
        positions = shape_of(weights, "visual.attnpool.positional_embedding", 2)[0]
        grid = square_root(positions - 1, "weight 'visual.attnpool.positional_embedding'")
        return ModifiedResNetConfig((blocks[0], blocks[1], blocks[2], blocks[3]), width, width * 32 // 64, grid * 32)
    raise ConversionError(
        "image tower: expected OpenAI's ViT (weight 'visual.proj') or ModifiedResNet "
        "('visual.attnpool.positional_embedding'), found neither"
    )


def name_of(vision: VisionTransformerConfig | ModifiedResNetConfig) -> str:
    """The published model of these sizes, or a name made of them."""
    if isinstance(vision, ModifiedResNetConfig):
        made_up = "RN-" + "-".join(map(str, vision.blocks)) + f"@{vision.image_size}px"
        return _NAMES.get((vision.blocks, vision.image_size), made_up)
    t = vision.transformer
    made_up = f"ViT-{t.width}x{t.layers}/{vision.patch_size}@{vision.image_size}px"
    return _NAMES.get((t.width, t.layers, vision.patch_size, vision.image_size), made_up)
