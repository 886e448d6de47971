"""What the library would refuse of a model (include/clipon/models: config, registry), said before it is written."""

from __future__ import annotations

from clipon_convert.checkpoint import (
    Array,
    Checkpoint,
    ModifiedResNetConfig,
    TransformerConfig,
    VisionTransformerConfig,
)
from clipon_convert.errors import ConversionError

MAX_WIDTH, MAX_LAYERS, MAX_IMAGE_SIZE, MAX_CONTEXT = 16384, 256, 1024, 4096
MAX_HEADS, MAX_PATCH_SIZE = 256, 128
MAX_GRID = 64  # patches along a side
MAX_EXPANSION = 16  # feed-forward width over width
MAX_VOCABULARY = 1 << 20  # LoadOptions::max_array_length
MAX_LOGIT_SCALE, MAX_LOGIT_BIAS = 10, 1e4
ACTIVATIONS = ("quick_gelu", "gelu", "gelu_tanh")


def _whole(what: str, found: object, least: int, most: int) -> None:
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise ConversionError(f"{what}: expected a whole number from {least} to {most}, found {found!r}")


def _real(what: str, found: object, least: float, most: float) -> None:
    if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found <= most:
        raise ConversionError(f"{what}: expected a number from {least:g} to {most:g}, found {found!r}")


def _divisor(what: str, found: int, of_what: str, of: int) -> None:
    if of % found != 0:
        raise ConversionError(f"{what}: expected a divisor of the {of_what} {of}, found {found}")


def _transformer(tower: str, config: TransformerConfig) -> None:
    _whole(f"{tower}: width", config.width, 1, MAX_WIDTH)
    _whole(f"{tower}: layers", config.layers, 1, MAX_LAYERS)
    _whole(f"{tower}: attention heads", config.heads, 1, MAX_HEADS)
    _whole(f"{tower}: width of the feed-forward layer", config.feed_forward, 1, MAX_EXPANSION * config.width)
    _divisor(f"{tower}: attention heads", config.heads, "width", config.width)
    _real(f"{tower}: epsilon of LayerNorm", config.layer_norm_epsilon, 1e-12, 1)
    if config.activation not in ACTIVATIONS:
        raise ConversionError(f"{tower}: activation: expected one of {list(ACTIVATIONS)}, found {config.activation!r}")


def _vision_transformer(vision: VisionTransformerConfig) -> None:
    _transformer("image tower", vision.transformer)
    _whole("image tower: patch size", vision.patch_size, 1, MAX_PATCH_SIZE)
    _divisor("image tower: patch size", vision.patch_size, "image size", vision.image_size)
    _whole("image tower: patches along a side", vision.image_size // vision.patch_size, 1, MAX_GRID)


def _modified_resnet(vision: ModifiedResNetConfig) -> None:
    for blocks in vision.blocks:
        _whole("image tower: bottlenecks of a stage", blocks, 1, MAX_LAYERS)
    _whole("image tower: width", vision.width, 2, MAX_WIDTH // 32)
    if vision.width % 2 != 0:
        raise ConversionError(f"image tower: width: expected an even number, found {vision.width}")
    _whole("image tower: attention heads", vision.heads, 1, MAX_HEADS)
    _divisor("image tower: attention heads", vision.heads, "features", vision.features)


def _logits(weights: dict[str, Array]) -> None:
    if "logit_scale" not in weights:
        raise ConversionError("weight 'logit_scale': expected one number, found none")
    for name, most in (("logit_scale", MAX_LOGIT_SCALE), ("logit_bias", MAX_LOGIT_BIAS)):
        if name not in weights:
            continue
        if weights[name].size != 1:
            raise ConversionError(f"weight '{name}': expected one number, found shape {list(weights[name].shape)}")
        _real(f"weight '{name}'", float(weights[name].item()), -most, most)


def check(checkpoint: Checkpoint) -> None:
    text, vision, preprocessing = checkpoint.text, checkpoint.vision, checkpoint.preprocessing
    _transformer("text tower", text.transformer)
    _whole("text tower: context length", text.context_length, 2, MAX_CONTEXT)
    _whole("text tower: vocabulary", text.vocabulary, 2, MAX_VOCABULARY)
    _whole("width of the embeddings", checkpoint.embed_dim, 1, MAX_WIDTH)
    _whole("image tower: image size", vision.image_size, 1, MAX_IMAGE_SIZE)
    if isinstance(vision, ModifiedResNetConfig):
        _modified_resnet(vision)
    else:
        _vision_transformer(vision)
    for what, rgb, least, most in (("mean", preprocessing.mean, -10, 10), ("std", preprocessing.std, 1e-3, 1e3)):
        if len(rgb) != 3:
            raise ConversionError(f"{what} of the pixels: expected 3 numbers, found {len(rgb)}")
        for value in rgb:
            _real(f"{what} of the pixels", value, least, most)
    _logits(checkpoint.weights)
