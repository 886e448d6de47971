"""What a model file says of itself: docs/model_format.md."""

from __future__ import annotations

from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader
from safetensors.numpy import save_file

from clipon_convert.vocabulary import from_merges
from conftest import MERGES, VOCABULARY, convert, make_resnet_weights


def metadata(path: Path) -> dict[str, object]:
    fields = GGUFReader(path).fields
    return {key: field.contents() for key, field in fields.items() if not key.startswith("GGUF.")}


def common_metadata(file_type: int) -> dict[str, object]:
    """docs/model_format.md: what both kinds of image tower have of the small checkpoints."""
    return {
        "general.architecture": "clip",
        "general.file_type": file_type,
        "clip.has_text_encoder": True,
        "clip.has_vision_encoder": True,
        "clip.use_gelu": False,
        "clip.text.context_length": 16,
        "clip.text.embedding_length": 64,
        "clip.text.feed_forward_length": 256,
        "clip.text.projection_dim": 24,
        "clip.text.attention.head_count": 1,
        "clip.text.attention.layer_norm_epsilon": pytest.approx(1e-5),
        "clip.text.block_count": 2,
        "clip.vision.image_size": 32,
        "clip.vision.projection_dim": 24,
        "clip.vision.image_mean": pytest.approx([0.48145466, 0.4578275, 0.40821073]),
        "clip.vision.image_std": pytest.approx([0.26862954, 0.26130258, 0.27577711]),
        "clipon.format_version": 1,
        "clipon.text.activation": "quick_gelu",
        "clipon.text.pooling": "eot",
        "clipon.text.causal": True,
        "clipon.logit_scale": pytest.approx(np.log(100.0)),
        "clipon.preprocess.resize_mode": "shortest",
        "clipon.preprocess.interpolation": "bicubic",
        "clipon.tokenizer.cleaning": "ftfy",
        "clipon.tokenizer.merges": MERGES,
        "clipon.tokenizer.start_token_id": VOCABULARY - 2,
        "clipon.tokenizer.end_token_id": VOCABULARY - 1,
        "tokenizer.ggml.tokens": from_merges(MERGES).tokens,
    }


@pytest.mark.parametrize(("dtype", "file_type"), [("f32", 0), ("f16", 1), ("bf16", 32), ("int8", 7)])
def test_metadata(bpe: Path, tmp_path: Path, weights: dict[str, np.ndarray], dtype: str, file_type: int) -> None:
    source, out = tmp_path / "a.safetensors", tmp_path / "a.gguf"
    save_file({**weights, "logit_bias": np.array([-10], np.float32)}, source)
    assert convert(source, out, "--bpe", bpe, "--dtype", dtype).returncode == 0
    found = metadata(out)
    checksums = [google_crc32c.value(tensor.data.tobytes()) for tensor in GGUFReader(out).tensors]
    assert found.pop("clipon.crc32c") == checksums
    assert found == common_metadata(file_type) | {
        "general.name": "ViT-64x2/16@32px",
        "clip.vision.attention.head_count": 1,
        "clip.vision.attention.layer_norm_epsilon": pytest.approx(1e-5),
        "clip.vision.block_count": 2,
        "clip.vision.embedding_length": 64,
        "clip.vision.feed_forward_length": 256,
        "clip.vision.patch_size": 16,
        "clipon.logit_bias": -10,
        "clipon.source": "a.safetensors (OpenAI parameter names)",
        "clipon.vision.activation": "quick_gelu",
        "clipon.vision.architecture": "vit",
        "clipon.vision.pooling": "class_token",
    }


def test_resnet_metadata_and_types(bpe: Path, tmp_path: Path) -> None:
    weights = make_resnet_weights()
    source, out = tmp_path / "a.safetensors", tmp_path / "a.gguf"
    save_file(weights, source)
    assert convert(source, out, "--bpe", bpe, "--dtype", "int8").returncode == 0
    found = metadata(out)
    del found["clipon.crc32c"]
    assert found == common_metadata(7) | {
        "general.name": "RN-1-2-1-1@32px",
        "clip.vision.attention.head_count": 2,
        "clip.vision.embedding_length": 128,
        "clipon.source": "a.safetensors (OpenAI parameter names)",
        "clipon.vision.activation": "relu",
        "clipon.vision.architecture": "modified_resnet",
        "clipon.vision.pooling": "attention_pool",
        "clipon.vision.resnet.blocks": [1, 2, 1, 1],
        "clipon.vision.resnet.width": 4,
    }
    tensors = {tensor.name: tensor for tensor in GGUFReader(out).tensors}
    for name in ("v.stem.0", "v.stage.1.1.conv2", "v.stage.3.0.downsample", "v.attnpool.k", "visual_projection"):
        assert tensors[f"{name}.weight"].tensor_type == GGMLQuantizationType.I8
        assert tensors[f"{name}.weight.scale"].shape.tolist() == tensors[f"{name}.bias"].shape.tolist()
    embedding = weights["visual.attnpool.positional_embedding"]
    np.testing.assert_array_equal(tensors["v.attnpool.position_embd.weight"].data, embedding)
    for part in "qkv":
        np.testing.assert_array_equal(
            tensors[f"v.attnpool.{part}.bias"].data, weights[f"visual.attnpool.{part}_proj.bias"]
        )


def test_given_metadata(source: Path, bpe: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.gguf"
    given = {
        "--name": ("general.name", "mine"),
        "--license": ("general.license", "CC0-1.0"),
        "--description": ("general.description", "of two blocks"),
        "--source-url": ("general.source.url", "https://example.org"),
        "--training-data": ("clipon.training_data", "none"),
    }
    options = [part for option, (_, value) in given.items() for part in (option, value)]
    assert convert(source, out, "--bpe", bpe, *options).returncode == 0
    found = metadata(out)
    assert {key: found[key] for key, _ in given.values()} == dict(given.values())
    assert found["clipon.source"] == "model.safetensors (OpenAI parameter names)"
