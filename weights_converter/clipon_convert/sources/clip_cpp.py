"""clip.cpp's GGUF files, unpacked to OpenAI's names. Merges are recovered from the vocabulary."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFReader
from gguf.quants import dequantize

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
from clipon_convert.sources.gguf_header import check_gguf_header
from clipon_convert.sources.names import CLIP_CPP, openai_name, to_openai

_STORED = {
    GGMLQuantizationType.F32: "f32",
    GGMLQuantizationType.F16: "f16",
    GGMLQuantizationType.BF16: "bf16",
    GGMLQuantizationType.Q8_0: "f32",
}
OPENAI_LOGIT_SCALE = np.float32(
    np.log(100.0)
)  # what every released OpenAI model reached; clip.cpp's files leave it out


class Fields:
    def __init__(self, reader: GGUFReader, path: Path) -> None:
        self.reader, self.path = reader, path

    def get(self, key: str, otherwise: Any = None) -> Any:  # noqa: ANN401 (GGUF values are of many types)
        field = self.reader.get_field(key)
        if field is None and otherwise is None:
            raise ConversionError(f"{self.path}: expected the key '{key}', found none")
        return otherwise if field is None else field.contents()


def _transformer(fields: Fields, tower: str, activation: str) -> TransformerConfig:
    return TransformerConfig(
        width=fields.get(f"clip.{tower}.embedding_length"),
        layers=fields.get(f"clip.{tower}.block_count"),
        heads=fields.get(f"clip.{tower}.attention.head_count"),
        feed_forward=fields.get(f"clip.{tower}.feed_forward_length"),
        layer_norm_epsilon=round(float(fields.get(f"clip.{tower}.attention.layer_norm_epsilon")), 12),
        activation=activation,
    )


def _weights(reader: GGUFReader, path: Path) -> tuple[dict[str, Array], str]:
    weights: dict[str, Array] = {}
    elements: Counter[str] = Counter()
    for tensor in reader.tensors:
        if "position_ids" in tensor.name:
            continue
        if openai_name(tensor.name, CLIP_CPP) is None:  # before it is widened
            raise ConversionError(f"{path}: tensor '{tensor.name}': the architecture has no such tensor")
        shape = tuple(int(n) for n in reversed(tensor.shape))
        values = tensor.data
        if tensor.tensor_type in (GGMLQuantizationType.Q8_0, GGMLQuantizationType.BF16):
            values = dequantize(values, tensor.tensor_type)
        weights[tensor.name] = values.reshape(shape)
        elements[_STORED[tensor.tensor_type]] += weights[tensor.name].size
    return weights, most_stored(elements)


def _refuse_clipons_own(reader: GGUFReader, path: Path) -> None:
    ours = [key for key in reader.fields if key.startswith("clipon.")]
    if "clipon.format_version" in ours:
        raise ConversionError(f"{path}: this is a clipon model already; convert from its source")
    if ours:  # clip.cpp writes no such key: a clipon model, and damaged
        raise ConversionError(f"{path}: expected 'clipon.format_version' beside '{ours[0]}', found none")


def read(path: Path, bpe: Path | None) -> Checkpoint:
    check_gguf_header(path)
    try:
        reader = GGUFReader(path)
    except Exception as error:  # a broken file raises nearly anything there
        raise ConversionError(f"{path}: not a GGUF file: {error}") from error
    fields = Fields(reader, path)
    if fields.get("general.architecture") != "clip":
        raise ConversionError(f"{path}: expected general.architecture 'clip'")
    _refuse_clipons_own(reader, path)
    for tower, what in (("text", "text"), ("vision", "image")):
        if not fields.get(f"clip.has_{tower}_encoder", True):
            raise ConversionError(f"{path}: expected both towers, found no {what} tower (clip.has_{tower}_encoder)")
    source, stored_type = _weights(reader, path)
    weights = to_openai(source, CLIP_CPP)
    weights.setdefault("visual.class_embedding", np.zeros(0, np.float32))
    weights["visual.class_embedding"] = weights["visual.class_embedding"].reshape(-1)
    weights.setdefault("logit_scale", np.asarray(OPENAI_LOGIT_SCALE))
    tokens = list(fields.get("tokenizer.ggml.tokens"))
    activation = "gelu" if fields.get("clip.use_gelu", False) else "quick_gelu"
    text = TextConfig(_transformer(fields, "text", activation), fields.get("clip.text.context_length"), len(tokens))
    vision = VisionTransformerConfig(
        _transformer(fields, "vision", activation),
        fields.get("clip.vision.image_size"),
        fields.get("clip.vision.patch_size"),
    )
    if bpe is not None:
        words = vocabulary.read_merges_file(bpe, len(tokens))
    else:
        words = Vocabulary(tokens, vocabulary.recover_merges(tokens), len(tokens) - 2, len(tokens) - 1)
    preprocessing = Preprocessing(
        tuple(float(x) for x in fields.get("clip.vision.image_mean")),
        tuple(float(x) for x in fields.get("clip.vision.image_std")),
    )
    embed_dim = shape_of(weights, "text_projection", 2)[1]
    checkpoint = Checkpoint(weights, embed_dim, text, vision, stored_type, preprocessing, words, name_of(vision))
    if "clip.use_gelu" not in reader.fields:
        checkpoint.assumed["activation"] = "QuickGELU"
    return checkpoint
