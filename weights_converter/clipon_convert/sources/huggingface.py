"""A Hugging Face CLIPModel folder: config.json, model.safetensors, tokenizer files, preprocessor_config.json."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from clipon_convert import vocabulary
from clipon_convert.architecture import name_of, shape_of
from clipon_convert.checkpoint import (
    Array,
    Checkpoint,
    Preprocessing,
    TextConfig,
    TransformerConfig,
    VisionTransformerConfig,
    Vocabulary,
)
from clipon_convert.dtypes import most_stored
from clipon_convert.errors import ConversionError
from clipon_convert.files import is_present, read_json
from clipon_convert.sources.names import HUGGINGFACE, to_openai
from clipon_convert.sources.safetensors_file import read_counted

_ACTIVATIONS = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
}
_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # PIL.Image.Resampling
_TORCH_WEIGHTS = ("pytorch_model.bin", "pytorch_model.bin.index.json")  # what older folders on the hub hold
ARGMAX_EOS = 2  # configs made before transformers 4.30 say 2 and mean the position of the largest id


def _transformer(config: dict[str, Any], width: int, layers: int, heads: int) -> TransformerConfig:
    activation = config.get("hidden_act", "quick_gelu")
    if activation not in _ACTIVATIONS:
        raise ConversionError(f"config.json: hidden_act: expected one of {sorted(_ACTIVATIONS)}, found '{activation}'")
    width = config.get("hidden_size", width)
    return TransformerConfig(
        width=width,
        layers=config.get("num_hidden_layers", layers),
        heads=config.get("num_attention_heads", heads),
        feed_forward=config.get("intermediate_size", 4 * width),
        layer_norm_epsilon=config.get("layer_norm_eps", 1e-5),
        activation=_ACTIVATIONS[activation],
    )


def _preprocessing(folder: Path, image_size: int) -> Preprocessing:
    path = folder / "preprocessor_config.json"
    result = Preprocessing()
    if not is_present(path):
        return result
    config = read_json(path)
    result.mean = tuple(config.get("image_mean", result.mean))
    result.std = tuple(config.get("image_std", result.std))
    resample = config.get("resample", 3)
    if resample not in _RESAMPLE:
        raise ConversionError(f"{path}: resample: expected 2 (bilinear) or 3 (bicubic), found {resample}")
    result.interpolation = _RESAMPLE[resample]
    size = config.get("size", image_size)
    edges = size.values() if isinstance(size, dict) else [size]
    if isinstance(size, dict) and "shortest_edge" not in size:
        result.resize_mode = "squash"
    if any(edge != image_size for edge in edges):
        raise ConversionError(f"{path}: size: expected {image_size}, the tower's, found {size}")
    return result


def _single_file(folder: Path) -> Path:
    path = folder / "model.safetensors"
    if is_present(path):
        return path
    found = next((name for name in _TORCH_WEIGHTS if is_present(folder / name)), None)
    if found is None:
        raise ConversionError(f"{path}: expected the weights, found no such file")
    raise ConversionError(
        f"{path}: expected the weights, found only {found}; have transformers write them once more: python -c "
        "\"from transformers import CLIPModel; CLIPModel.from_pretrained('FOLDER').save_pretrained('FOLDER')\""
    )


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if not is_present(index):
        return [_single_file(folder)]
    names = sorted(set(read_json(index)["weight_map"].values()))
    for name in names:
        if Path(name).name != name:
            raise ConversionError(f"{index}: expected plain file names, found '{name}'")
    return [folder / name for name in names]


def _weights(folder: Path) -> tuple[dict[str, Array], str]:
    weights: dict[str, Array] = {}
    elements: Counter[str] = Counter()
    for path in _files(folder):
        part, counted = read_counted(path)
        weights.update(part)
        elements += counted
    return weights, most_stored(elements)


def _vocabulary(folder: Path, config: dict[str, Any], bpe: Path | None) -> Vocabulary:
    size = config.get("vocab_size", 49408)
    found = vocabulary.read_huggingface(folder) if bpe is None else None
    result = found or vocabulary.read_merges_file(bpe or vocabulary.find_openai_merges(), size)
    end = config.get("eos_token_id", ARGMAX_EOS)
    if end not in (ARGMAX_EOS, result.end_token_id):
        raise ConversionError(f"config.json: eos_token_id is {end}, but the vocabulary ends with {result.end_token_id}")
    return result


def read(folder: Path, bpe: Path | None) -> Checkpoint:
    config = read_json(folder / "config.json")
    if config.get("model_type") != "clip":
        raise ConversionError(
            f"{folder / 'config.json'}: expected model_type 'clip', found '{config.get('model_type')}'"
        )
    text_config, vision_config = config.get("text_config", {}), config.get("vision_config", {})
    source, stored_type = _weights(folder)
    weights = to_openai({n: w for n, w in source.items() if not n.endswith("position_ids")}, HUGGINGFACE)
    text = TextConfig(
        _transformer(text_config, 512, 12, 8),
        text_config.get("max_position_embeddings", 77),
        text_config.get("vocab_size", 49408),
    )
    image_size = vision_config.get("image_size", 224)
    vision = VisionTransformerConfig(
        _transformer(vision_config, 768, 12, 12), image_size, vision_config.get("patch_size", 32)
    )
    return Checkpoint(
        weights,
        shape_of(weights, "text_projection", 2)[1],
        text,
        vision,
        stored_type,
        preprocessing=_preprocessing(folder, image_size),
        vocabulary=_vocabulary(folder, text_config, bpe),
        name=name_of(vision),
    )
