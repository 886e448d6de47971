"""Writes the model file: the strict profile of docs/model_format.md, byte for byte the same for the same source."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import google_crc32c
import numpy as np
from gguf import GGUFValueType, GGUFWriter
from tqdm import tqdm

from clipon_convert.checkpoint import Checkpoint, ModifiedResNetConfig, TransformerConfig, Vocabulary
from clipon_convert.dtypes import Stored, store
from clipon_convert.errors import ConversionError
from clipon_convert.limits import check
from clipon_convert.tensors import TensorList

FORMAT_VERSION = 1
FILE_TYPE = {"f32": 0, "f16": 1, "bf16": 32, "int8": 7}  # GGUF's general.file_type of the matrices
U32, F32, STRING = GGUFValueType.UINT32, GGUFValueType.FLOAT32, GGUFValueType.STRING


class Metadata:
    """Typed keys; thin names around GGUFWriter."""

    def __init__(self, writer: GGUFWriter) -> None:
        self.writer = writer

    def u32(self, key: str, value: int) -> None:
        self.writer.add_key_value(key, value, U32)

    def f32(self, key: str, value: float) -> None:
        self.writer.add_key_value(key, value, F32)

    def boolean(self, key: str, value: bool) -> None:
        self.writer.add_key_value(key, value, GGUFValueType.BOOL)

    def text(self, key: str, value: str) -> None:
        self.writer.add_key_value(key, value, STRING)

    def array(self, key: str, values: Sequence[object], element: GGUFValueType) -> None:
        self.writer.add_key_value(key, list(values), GGUFValueType.ARRAY, element)


def add_transformer(meta: Metadata, tower: str, config: TransformerConfig) -> None:
    meta.u32(f"clip.{tower}.embedding_length", config.width)
    meta.u32(f"clip.{tower}.feed_forward_length", config.feed_forward)
    meta.u32(f"clip.{tower}.block_count", config.layers)
    meta.u32(f"clip.{tower}.attention.head_count", config.heads)
    meta.f32(f"clip.{tower}.attention.layer_norm_epsilon", config.layer_norm_epsilon)
    meta.text(f"clipon.{tower}.activation", config.activation)


def add_vision(meta: Metadata, checkpoint: Checkpoint) -> None:
    vision = checkpoint.vision
    meta.u32("clip.vision.image_size", vision.image_size)
    meta.u32("clip.vision.projection_dim", checkpoint.embed_dim)
    meta.array("clip.vision.image_mean", checkpoint.preprocessing.mean, F32)
    meta.array("clip.vision.image_std", checkpoint.preprocessing.std, F32)
    if isinstance(vision, ModifiedResNetConfig):
        meta.u32("clip.vision.embedding_length", vision.features)
        meta.u32("clip.vision.attention.head_count", vision.heads)
        meta.text("clipon.vision.architecture", "modified_resnet")
        meta.text("clipon.vision.activation", "relu")
        meta.text("clipon.vision.pooling", "attention_pool")
        meta.array("clipon.vision.resnet.blocks", vision.blocks, U32)
        meta.u32("clipon.vision.resnet.width", vision.width)
    else:
        meta.u32("clip.vision.patch_size", vision.patch_size)
        add_transformer(meta, "vision", vision.transformer)
        meta.text("clipon.vision.architecture", "vit")
        meta.text("clipon.vision.pooling", "class_token")


def add_vocabulary(meta: Metadata, vocabulary: Vocabulary) -> None:
    meta.text("clipon.tokenizer.cleaning", vocabulary.cleaning)
    meta.array("clipon.tokenizer.merges", vocabulary.merges, STRING)
    meta.u32("clipon.tokenizer.start_token_id", vocabulary.start_token_id)
    meta.u32("clipon.tokenizer.end_token_id", vocabulary.end_token_id)
    meta.array("tokenizer.ggml.tokens", vocabulary.tokens, STRING)


def add_metadata(meta: Metadata, checkpoint: Checkpoint, dtype: str, checksums: Sequence[int]) -> None:
    text, vocabulary = checkpoint.text, checkpoint.vocabulary
    if vocabulary is None or len(vocabulary.tokens) != text.vocabulary:
        found = 0 if vocabulary is None else len(vocabulary.tokens)
        raise ConversionError(f"vocabulary: expected {text.vocabulary} tokens, found {found}")
    meta.text("general.name", checkpoint.name)
    meta.u32("general.file_type", FILE_TYPE[dtype])
    for key, value in sorted(checkpoint.description.items()):
        meta.text(key, value)
    meta.boolean("clip.has_text_encoder", True)
    meta.boolean("clip.has_vision_encoder", True)
    meta.boolean("clip.use_gelu", text.transformer.activation != "quick_gelu")
    meta.u32("clipon.format_version", FORMAT_VERSION)
    meta.u32("clip.text.context_length", text.context_length)
    meta.u32("clip.text.projection_dim", checkpoint.embed_dim)
    add_transformer(meta, "text", text.transformer)
    meta.text("clipon.text.pooling", "eot")
    meta.boolean("clipon.text.causal", True)
    add_vision(meta, checkpoint)
    for name in ("logit_scale", "logit_bias"):
        if name in checkpoint.weights:
            meta.f32(f"clipon.{name}", float(checkpoint.weights[name].item()))
    meta.text("clipon.preprocess.resize_mode", checkpoint.preprocessing.resize_mode)
    meta.text("clipon.preprocess.interpolation", checkpoint.preprocessing.interpolation)
    add_vocabulary(meta, vocabulary)
    meta.array("clipon.crc32c", checksums, U32)


@contextlib.contextmanager
def replaced_when_complete(out: Path) -> Iterator[Path]:
    """A temporary name beside `out`, or what it links to, that becomes it if the body succeeds, and else vanishes."""
    out = out.resolve()
    handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp's 0600 would keep others from reading the model
        temporary.replace(out)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write(checkpoint: Checkpoint, out: Path, dtype: str, progress: bool = True) -> None:
    """Raises ConversionError, also when the disk is full; leaves `out` as it was then."""
    check(checkpoint)
    stored: list[Stored] = []
    checksums: list[int] = []
    for tensor in tqdm(TensorList(checkpoint), desc="Converting", unit=" tensors", disable=None if progress else True):
        for part in store(tensor, dtype):
            stored.append(part)
            checksums.append(google_crc32c.value(np.ascontiguousarray(part.data).tobytes()))
    try:
        with replaced_when_complete(out) as temporary:
            writer = GGUFWriter(temporary, "clip")
            add_metadata(Metadata(writer), checkpoint, dtype, checksums)
            for part in stored:
                writer.add_tensor(part.name, part.data, raw_shape=part.shape, raw_dtype=part.type)
            try:
                writer.write_header_to_file()
                writer.write_kv_data_to_file()
                writer.write_tensors_to_file(progress=progress and sys.stderr.isatty())
            finally:
                writer.close()
    except OSError as error:
        raise ConversionError(f"{out}: expected to write the model, failed: {error.strerror or error}") from error
