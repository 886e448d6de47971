"""An OpenCLIP checkpoint and the open_clip_config.json beside it, where its model is OpenAI's CLIP in other sizes.

Everything that changes the computation and has no place in a clipon model is refused by the name of its key.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipon_convert.checkpoint import Checkpoint, ModifiedResNetConfig
from clipon_convert.errors import ConversionError
from clipon_convert.files import read_object
from clipon_convert.sources.openai import check_names, from_weights, read_vocabulary
from clipon_convert.sources.pixels import rgb
from clipon_convert.sources.weights_file import read_weights

CONFIG_NAME = "open_clip_config.json"
WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors", "open_clip_pytorch_model.bin")
# keys that are read or compared below, whose values show in the shapes, or that do nothing at inference
_MODEL = {"embed_dim", "quick_gelu", "vision_cfg", "text_cfg", "custom_text", "init_logit_scale", "init_logit_bias"}
_VISION = {"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio", "patch_dropout"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio"}
_HEADS, _HEAD_WIDTH = 8, 64  # where a config is silent: CLIPTextCfg.heads, CLIPVisionCfg.head_width
# values of other keys that mean OpenAI's model, as null does
_DEFAULTS: dict[str, tuple[object, ...]] = {
    "attentional_pool": (False,),
    "no_ln_pre": (False,),
    "pos_embed_type": ("learnable",),
    "final_ln_after_pool": (False,),
    "pool_type": ("tok", "argmax"),
    "output_tokens": (False,),
    "input_patchnorm": (False,),
    "global_average_pool": (False,),
    "embed_cls": (False,),
    "no_causal_mask": (False,),
    "proj_bias": (False,),
    "pad_id": (0,),
    "proj": ("linear",),
    "proj_type": ("linear",),
    "act_kwargs": ({},),
    "norm_kwargs": ({},),
}
_INTERPOLATIONS = {"bicubic", "bilinear"}
_RESIZE_MODES = {"shortest", "squash"}


def _refuse_unknown(config: dict[str, Any], known: set[str], where: str) -> None:
    for key, value in config.items():
        if key in known or value is None or value in _DEFAULTS.get(key, ()):
            continue
        raise ConversionError(f"{CONFIG_NAME}: {where}.{key} = {value!r} can't be represented in a clipon model")


def _compare(config: dict[str, Any], where: str, found: dict[str, Any]) -> None:
    """The sizes that a config gives with those of the weights."""
    for key, value in found.items():
        given = config.get(key)
        if given is not None and given not in (value, [value, value]):
            raise ConversionError(f"{CONFIG_NAME}: {where}.{key} is {given}, but the weights are shaped for {value}")


def _compare_sizes(model: dict[str, Any], checkpoint: Checkpoint) -> None:
    text, vision = checkpoint.text, checkpoint.vision
    _compare(model, "model_cfg", {"embed_dim": checkpoint.embed_dim})
    sizes = {"context_length": text.context_length, "vocab_size": text.vocabulary}
    sizes |= {"width": text.transformer.width, "layers": text.transformer.layers}
    _compare(model.get("text_cfg") or {}, "text_cfg", sizes)
    sizes = {"image_size": vision.image_size}
    if isinstance(vision, ModifiedResNetConfig):
        sizes |= {"width": vision.width, "layers": list(vision.blocks)}
    else:
        sizes |= {"width": vision.transformer.width, "layers": vision.transformer.layers}
        sizes |= {"patch_size": vision.patch_size}
    _compare(model.get("vision_cfg") or {}, "vision_cfg", sizes)


def _apply_preprocessing(config: dict[str, Any], checkpoint: Checkpoint) -> None:
    pre = checkpoint.preprocessing
    pre.mean = rgb(f"{CONFIG_NAME}: preprocess_cfg.mean", config.get("mean", pre.mean))
    pre.std = rgb(f"{CONFIG_NAME}: preprocess_cfg.std", config.get("std", pre.std))
    pre.interpolation = config.get("interpolation", pre.interpolation)
    pre.resize_mode = config.get("resize_mode", pre.resize_mode)
    size = config.get("size", checkpoint.vision.image_size)
    if any(edge != checkpoint.vision.image_size for edge in (size if isinstance(size, list) else [size])):
        raise ConversionError(
            f"{CONFIG_NAME}: preprocess_cfg.size: expected {checkpoint.vision.image_size}, found {size}"
        )
    if pre.interpolation not in _INTERPOLATIONS:
        raise ConversionError(f"{CONFIG_NAME}: preprocess_cfg.interpolation = '{pre.interpolation}' is not supported")
    if pre.resize_mode not in _RESIZE_MODES:
        raise ConversionError(f"{CONFIG_NAME}: preprocess_cfg.resize_mode = '{pre.resize_mode}' is not supported")


def read(path: Path, bpe: Path | None) -> Checkpoint:
    config = read_object(path.with_name(CONFIG_NAME))
    model = config.get("model_cfg", config)
    vision_config, text_config = model.get("vision_cfg") or {}, model.get("text_cfg") or {}
    _refuse_unknown(model, _MODEL, "model_cfg")
    _refuse_unknown(vision_config, _VISION, "vision_cfg")
    _refuse_unknown(text_config, _TEXT, "text_cfg")
    source = read_weights(path)
    check_names(path, source.weights)
    checkpoint = from_weights(source.weights, source.stored_type)
    _compare_sizes(model, checkpoint)
    text, vision = checkpoint.text.transformer, checkpoint.vision
    activation = "quick_gelu" if model.get("quick_gelu") else "gelu"
    text.activation = activation
    text.heads = text_config.get("heads") or _HEADS
    head_width = vision_config.get("head_width") or _HEAD_WIDTH
    if isinstance(vision, ModifiedResNetConfig):
        vision.heads = vision.features // head_width
    else:
        vision.transformer.activation = activation
        vision.transformer.heads = vision.transformer.width // head_width
    _apply_preprocessing(config.get("preprocess_cfg") or {}, checkpoint)
    checkpoint.vocabulary = read_vocabulary(path, checkpoint.text.vocabulary, bpe)
    return checkpoint
