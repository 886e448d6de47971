"""A Hugging Face CLIPModel folder: config.json, weights, tokenizer files, what the processor does to pictures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from clipon_convert import vocabulary
from clipon_convert.architecture import name_of, shape_of
from clipon_convert.checkpoint import (
    Checkpoint,
    Preprocessing,
    TextConfig,
    TransformerConfig,
    VisionTransformerConfig,
    Vocabulary,
)
from clipon_convert.errors import ConversionError
from clipon_convert.files import is_present, read_json, read_object
from clipon_convert.sources.names import HUGGINGFACE, to_openai
from clipon_convert.sources.pixels import rgb
from clipon_convert.sources.weights_file import read_weights

_ACTIVATIONS = {
    "quick_gelu": "quick_gelu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
}
_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # PIL.Image.Resampling
_WEIGHTS = ("model.safetensors", "pytorch_model.bin")  # and their shards; transformers' order
_PROCESSORS = ("CLIPImageProcessor", "CLIPImageProcessorFast", "CLIPImageProcessorPil", "CLIPFeatureExtractor")
_OTHER_TOKENIZERS = ("vocab.txt", "spiece.model", "sentencepiece.bpe.model", "tokenizer.model")
OPENAI_VOCABULARY = 49408
ARGMAX_EOS = 2  # configs made before transformers 4.30 say 2 and mean the position of the largest id


def _get(config: dict[str, Any], key: str, otherwise: Any) -> Any:  # noqa: ANN401 (JSON is of many types)
    """Null means the default, as absence does."""
    value = config.get(key)
    return otherwise if value is None else value


def _tower(path: Path, config: dict[str, Any], tower: str) -> dict[str, Any]:
    """Old configs say it twice, and the twin is what counts (transformers' CLIPConfig)."""
    twin = config.get(f"{tower}_config_dict")
    found = _get(config, f"{tower}_config", {}) if twin is None else twin
    if not isinstance(found, dict):
        raise ConversionError(f"{path}: {tower}_config: expected an object, found {found!r}")
    return found


def _transformer(config: dict[str, Any], defaults: TransformerConfig) -> TransformerConfig:
    activation = _get(config, "hidden_act", defaults.activation)
    if activation not in _ACTIVATIONS:
        raise ConversionError(f"config.json: hidden_act: expected one of {sorted(_ACTIVATIONS)}, found '{activation}'")
    return TransformerConfig(
        width=_get(config, "hidden_size", defaults.width),
        layers=_get(config, "num_hidden_layers", defaults.layers),
        heads=_get(config, "num_attention_heads", defaults.heads),
        feed_forward=_get(config, "intermediate_size", defaults.feed_forward),
        layer_norm_epsilon=_get(config, "layer_norm_eps", defaults.layer_norm_epsilon),
        activation=_ACTIVATIONS[activation],
    )


def _processor(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Of its own file, or, since transformers 5, in the processor's; empty where there is neither."""
    path = folder / "preprocessor_config.json"
    if is_present(path):
        return path, read_object(path)
    path = folder / "processor_config.json"
    found = _get(read_object(path), "image_processor", {}) if is_present(path) else {}
    if not isinstance(found, dict):
        raise ConversionError(f"{path}: image_processor: expected an object, found {found!r}")
    return path, found


def _is_squashed(config: dict[str, Any]) -> bool:
    size = config.get("size")
    return isinstance(size, dict) and set(size) == {"height", "width"}


def _check_steps(path: Path, config: dict[str, Any], image_size: int) -> None:
    """That it resizes, crops, scales to 0..1 and normalises, as every CLIP's does."""
    kind = _get(config, "image_processor_type", config.get("feature_extractor_type"))
    if kind is not None and kind not in _PROCESSORS:
        raise ConversionError(f"{path}: image_processor_type: expected one of {list(_PROCESSORS)}, found '{kind}'")
    for step in ("do_resize", "do_center_crop", "do_rescale", "do_normalize"):
        # both sides are of the tower's size then, as _preprocessing checks: there is nothing to crop
        needless = step == "do_center_crop" and _is_squashed(config)
        if not _get(config, step, True) and not needless:
            raise ConversionError(f"{path}: {step}: expected true, found {config[step]}")
    factor = _get(config, "rescale_factor", 1 / 255)
    if not math.isclose(factor, 1 / 255, rel_tol=1e-6):
        raise ConversionError(f"{path}: rescale_factor: expected 1/255, found {factor}")
    crop = _get(config, "crop_size", image_size)
    if any(edge != image_size for edge in (crop.values() if isinstance(crop, dict) else [crop])):
        raise ConversionError(f"{path}: crop_size: expected {image_size}, the tower's, found {crop}")


def _preprocessing(folder: Path, image_size: int) -> Preprocessing:
    path, config = _processor(folder)
    _check_steps(path, config, image_size)
    result = Preprocessing()
    result.mean = rgb(f"{path}: image_mean", _get(config, "image_mean", result.mean))
    result.std = rgb(f"{path}: image_std", _get(config, "image_std", result.std))
    resample = _get(config, "resample", 3)
    if resample not in _RESAMPLE:
        raise ConversionError(f"{path}: resample: expected 2 (bilinear) or 3 (bicubic), found {resample}")
    result.interpolation = _RESAMPLE[resample]
    size = _get(config, "size", image_size)
    if _is_squashed(config):
        result.resize_mode = "squash"
    elif isinstance(size, dict) and set(size) != {"shortest_edge"}:
        raise ConversionError(f"{path}: size: expected shortest_edge, or height and width, found {sorted(size)}")
    if any(edge != image_size for edge in (size.values() if isinstance(size, dict) else [size])):
        raise ConversionError(f"{path}: size: expected {image_size}, the tower's, found {size}")
    return result


def is_model(folder: Path) -> bool:
    """Whether config.json is a CLIPModel's and its weights are there: beside OpenCLIP's it may be timm's, or alone."""
    config = read_json(folder / "config.json")
    has_weights = any(is_present(folder / name) or is_present(folder / f"{name}.index.json") for name in _WEIGHTS)
    return isinstance(config, dict) and config.get("model_type") == "clip" and has_weights


def _files(folder: Path) -> list[Path]:
    for name in _WEIGHTS:
        if is_present(folder / name):
            return [folder / name]
        if is_present(folder / f"{name}.index.json"):
            return _shards(folder, folder / f"{name}.index.json")
    raise ConversionError(f"{folder}: expected the weights, {' or '.join(_WEIGHTS)}, found neither")


def _shards(folder: Path, index: Path) -> list[Path]:
    names = sorted(set(read_json(index)["weight_map"].values()))
    for name in names:
        if Path(name).name != name:
            raise ConversionError(f"{index}: expected plain file names, found '{name}'")
    return [folder / name for name in names]


def _tokenizer(folder: Path, size: int, bpe: Path | None) -> Vocabulary:
    found = vocabulary.read_huggingface(folder) if bpe is None else None
    if found is not None:
        return found
    other = next((name for name in _OTHER_TOKENIZERS if is_present(folder / name)), None)
    if bpe is None and (other or size != OPENAI_VOCABULARY):
        raise ConversionError(
            f"{folder}: expected vocab.json and merges.txt, or tokenizer.json, or --bpe, found "
            + (other or f"none, and {size} tokens, so not OpenAI's vocabulary")
        )
    return vocabulary.read_merges_file(bpe or vocabulary.find_openai_merges(), size)


def _vocabulary(folder: Path, config: dict[str, Any], size: int, bpe: Path | None) -> Vocabulary:
    result = _tokenizer(folder, size, bpe)
    end = _get(config, "eos_token_id", ARGMAX_EOS)
    means = size - 1 if end == ARGMAX_EOS else end
    if len(result.tokens) == size and means != result.end_token_id:  # another count is refused when it is written
        raise ConversionError(
            f"config.json: eos_token_id is {end}"
            + (f", which means the largest id, {means}" if end == ARGMAX_EOS else "")
            + f", but {vocabulary.END} of the vocabulary is {result.end_token_id}"
        )
    return result


def read(folder: Path, bpe: Path | None) -> Checkpoint:
    path = folder / "config.json"
    config = read_object(path)
    if config.get("model_type") != "clip":
        raise ConversionError(f"{path}: expected model_type 'clip', found '{config.get('model_type')}'")
    text_config, vision_config = _tower(path, config, "text"), _tower(path, config, "vision")
    source = read_weights(*_files(folder))
    weights = to_openai({n: w for n, w in source.weights.items() if not n.endswith("position_ids")}, HUGGINGFACE)
    text = TextConfig(
        _transformer(text_config, TransformerConfig(512, 12, 8, 2048)),
        _get(text_config, "max_position_embeddings", 77),
        _get(text_config, "vocab_size", OPENAI_VOCABULARY),
    )
    image_size = _get(vision_config, "image_size", 224)
    vision = VisionTransformerConfig(
        _transformer(vision_config, TransformerConfig(768, 12, 12, 3072)),
        image_size,
        _get(vision_config, "patch_size", 32),
    )
    return Checkpoint(
        weights,
        shape_of(weights, "text_projection", 2)[1],
        text,
        vision,
        source.stored_type,
        preprocessing=_preprocessing(folder, image_size),
        vocabulary=_vocabulary(folder, text_config, text.vocabulary, bpe),
        name=name_of(vision),
    )
