"""OpenAI's parameter names: their .pt archives, plain state dicts, safetensors files of the same names.

A config.json beside a safetensors file may say what shapes can't: activation, image_mean and image_std, token ids,
bpe_merges with the file bpe_merges_*.txt. Without it the values are OpenAI's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipon_convert import vocabulary
from clipon_convert.architecture import UNKNOWN_HEADS, infer_text, infer_vision, name_of, shape_of
from clipon_convert.checkpoint import Array, Checkpoint, ModifiedResNetConfig, Vocabulary
from clipon_convert.errors import ConversionError
from clipon_convert.files import is_present, read_object
from clipon_convert.sources.pixels import rgb
from clipon_convert.sources.weights_file import read_weights

OPENAI_URL = "https://github.com/openai/CLIP"
OPENAI_LICENSE = "MIT"
OPENAI_TRAINING_DATA = (
    "WIT: 400 million pairs of pictures and texts from the public internet (Radford et al. 2021, section 2.2); "
    "not released. The model repeats the biases of that data (section 7)."
)
DESCRIPTION = {
    "general.license": OPENAI_LICENSE,
    "general.source.url": OPENAI_URL,
    "clipon.training_data": OPENAI_TRAINING_DATA,
}
# what is taken where nothing says otherwise, and the keys of a config.json that say it
ASSUMED = {
    "activation": "QuickGELU",
    "heads": "attention heads of 64 channels",
    "pixels": "OpenAI's mean and std of the pixels",
}
_KEYS = {
    "activation": ("activation",),
    "heads": ("transformer_heads", "vision_heads"),
    "pixels": ("image_mean", "image_std"),
}


def check_names(path: Path, weights: dict[str, Array]) -> None:
    if "token_embedding.weight" in weights:
        return
    hint = ""
    if any(name.startswith(("text_model.", "vision_model.")) for name in weights):
        hint = "; these are Hugging Face's names: convert the folder that the file is in"
    raise ConversionError(
        f"{path}: expected weights under OpenAI's names, such as 'token_embedding.weight', found "
        + ", ".join(f"'{name}'" for name in sorted(weights)[:3])
        + hint
    )


def from_weights(weights: dict[str, Array], stored_type: str) -> Checkpoint:
    text = infer_text(weights)
    embed_dim = shape_of(weights, "text_projection", 2)[1]
    vision = infer_vision(weights)
    return Checkpoint(weights, embed_dim, text, vision, stored_type, name=name_of(vision))


def _config_beside(path: Path) -> dict[str, Any]:
    config = path.with_name("config.json")
    if not is_present(config):
        return {}
    values = read_object(config)
    return values if values.get("model_type") == "clip-openai" else {}


def _apply(config: dict[str, Any], checkpoint: Checkpoint) -> None:
    text, vision = checkpoint.text.transformer, checkpoint.vision
    if "activation" in config:
        text.activation = config["activation"]
        if not isinstance(vision, ModifiedResNetConfig):
            vision.transformer.activation = config["activation"]
    text.heads = config.get("transformer_heads", text.heads)
    if "vision_heads" in config:
        (vision if isinstance(vision, ModifiedResNetConfig) else vision.transformer).heads = config["vision_heads"]
    for key, found in (
        ("image_resolution", vision.image_size),
        ("context_length", checkpoint.text.context_length),
        ("vocab_size", checkpoint.text.vocabulary),
        ("embed_dim", checkpoint.embed_dim),
    ):
        if config.get(key, found) != found:
            raise ConversionError(f"config.json: '{key}' is {config[key]}, but the weights are shaped for {found}")
    pre = checkpoint.preprocessing
    pre.mean = rgb("config.json: image_mean", config.get("image_mean", pre.mean))
    pre.std = rgb("config.json: image_std", config.get("image_std", pre.std))


def _check_heads(checkpoint: Checkpoint) -> None:
    towers = {"text": checkpoint.text.transformer}
    if not isinstance(checkpoint.vision, ModifiedResNetConfig):
        towers["image"] = checkpoint.vision.transformer
    for tower, transformer in towers.items():
        if transformer.heads == UNKNOWN_HEADS:
            raise ConversionError(
                f"{tower} tower: expected a width that is a multiple of 64, or a config beside the weights that says "
                f"how many attention heads it has, found {transformer.width}"
            )


def read_vocabulary(path: Path, size: int, bpe: Path | None) -> Vocabulary:
    """--bpe, else bpe_merges_*.txt beside the weights, else the one of open_clip."""
    beside = sorted(path.parent.glob("bpe_merges_*.txt"))
    return vocabulary.read_merges_file(bpe or (beside[0] if beside else vocabulary.find_openai_merges()), size)


def read(path: Path, bpe: Path | None) -> Checkpoint:
    is_safetensors = path.suffix == ".safetensors"
    source = read_weights(path)
    check_names(path, source.weights)
    checkpoint = from_weights(source.weights, source.stored_type)
    checkpoint.is_training_checkpoint = source.is_training_checkpoint
    config = _config_beside(path) if is_safetensors else {}
    _apply(config, checkpoint)
    _check_heads(checkpoint)
    checkpoint.vocabulary = read_vocabulary(path, checkpoint.text.vocabulary, bpe)
    for key, ours in (("sot", checkpoint.vocabulary.start_token_id), ("eot", checkpoint.vocabulary.end_token_id)):
        if config.get(key, ours) != ours:
            raise ConversionError(f"config.json: '{key}' is {config[key]}, but the vocabulary puts it at {ours}")
    checkpoint.assumed = {what: value for what, value in ASSUMED.items() if not set(_KEYS[what]) <= set(config)}
    return checkpoint
