"""clip.cpp's files give the same model file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

from clipon_convert.vocabulary import (
    from_merges,
)
from conftest import (
    MERGES,
    VOCABULARY,
    assert_same_tensors,
    convert,
    field,
    tensors,
)


def clip_cpp_file(
    path: Path,
    found: dict[str, np.ndarray],
    changed: dict[str, object] | None = None,
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    architecture: str = "clip",
) -> Path:
    """As clip.cpp writes it, without clipon's keys and the logit scale; the blocks' matrices of a type. A key that is
    changed to None is left out."""
    keys: dict[str, object] = {
        "clip.text.context_length": 16,
        "clip.vision.image_size": 32,
        "clip.vision.patch_size": 16,
        "clip.vision.image_mean": [0.5, 0.4, 0.3],
        "clip.vision.image_std": [0.2, 0.3, 0.4],
        "clip.use_gelu": False,
        "tokenizer.ggml.tokens": from_merges(MERGES).tokens,
    }
    for tower in ("text", "vision"):
        for key, value in (("embedding_length", 64), ("feed_forward_length", 256), ("projection_dim", 24),
                           ("attention.head_count", 1), ("block_count", 2),
                           ("attention.layer_norm_epsilon", 1e-5)):  # fmt: skip
            keys[f"clip.{tower}.{key}"] = value
    writer = GGUFWriter(path, architecture)
    add = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array}
    for key, value in (keys | (changed or {})).items():
        if value is not None:
            add[type(value)](key, value)
    for name, values in found.items():
        if kind != GGMLQuantizationType.F32 and ".blk." in name and values.ndim == 2:
            writer.add_tensor(name, quantize(np.ascontiguousarray(values), kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_clip_cpp(converted: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.gguf"
    done = convert(clip_cpp_file(tmp_path / "cpp.gguf", tensors(converted), {"clip.use_gelu": None}), out)
    assert done.returncode == 0, done.stderr
    assert field(out, "clipon.text.activation") == "quick_gelu"
    assert_same_tensors(out, converted)
    assert field(out, "clipon.tokenizer.merges") == MERGES
    assert field(out, "clipon.tokenizer.start_token_id") == VOCABULARY - 2
    assert field(out, "clipon.tokenizer.end_token_id") == VOCABULARY - 1
    assert field(out, "clipon.logit_scale") == pytest.approx(np.log(100.0))
    assert field(out, "clip.vision.image_mean") == pytest.approx([0.5, 0.4, 0.3])
    assert field(out, "clip.vision.image_std") == pytest.approx([0.2, 0.3, 0.4])
    assert field(out, "clipon.source") == "cpp.gguf (clip.cpp GGUF)"


def test_clip_cpp_of_other_sizes(converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path) -> None:
    found = tensors(converted) | {"v.patch_embd.bias": np.arange(64, dtype=np.float32)}
    for name in list(found):
        if "ffn" in name:
            found[name] = found[name][:32] if "down" in name else found[name][..., :32]
    found |= {name: values for name, values in tensors(converted).items() if "ffn_up.bias" in name}
    found["v.class_embd"] = found["v.class_embd"].reshape(1, 64)
    found["v.position_ids"] = np.arange(5, dtype=np.int32).astype(np.float32)
    changed: dict[str, object] = {"clip.use_gelu": True}
    for tower in ("text", "vision"):
        changed |= {
            f"clip.{tower}.attention.head_count": 4,
            f"clip.{tower}.feed_forward_length": 32,
            f"clip.{tower}.attention.layer_norm_epsilon": 1e-6,
        }
    source, out = clip_cpp_file(tmp_path / "cpp.gguf", found, changed), tmp_path / "out.gguf"
    other = tmp_path / "other.txt"
    other.write_text("\n".join(["header", *MERGES[:-1], "h e"]))
    done = convert(source, out, "--bpe", other)
    assert done.returncode == 0, done.stderr
    assert field(out, "clipon.tokenizer.merges") == [*MERGES[:-1], "h e"]
    np.testing.assert_array_equal(tensors(out)["v.patch_embd.bias"], np.arange(64))
    for tower in ("text", "vision"):
        assert field(out, f"clip.{tower}.attention.head_count") == 4
        assert field(out, f"clip.{tower}.feed_forward_length") == 32
        assert field(out, f"clip.{tower}.attention.layer_norm_epsilon") == pytest.approx(1e-6)
        assert field(out, f"clipon.{tower}.activation") == "gelu"


@pytest.mark.parametrize(
    ("kind", "file_type", "error"),
    [
        (GGMLQuantizationType.F16, 1, 2**-11),  # half an ulp
        (GGMLQuantizationType.BF16, 32, 2**-8),
        (GGMLQuantizationType.Q8_0, 0, 0.5 / 127 + 2**-11),  # half a step, and the scale of 32 weights is an f16
    ],
)
def test_clip_cpp_types(
    converted: Path, tmp_path: Path, kind: GGMLQuantizationType, file_type: int, error: float
) -> None:
    source, out = clip_cpp_file(tmp_path / "cpp.gguf", tensors(converted), kind=kind), tmp_path / "out.gguf"
    done = convert(source, out)
    assert done.returncode == 0, done.stderr
    assert field(out, "general.file_type") == file_type
    assert convert(source, out, "--dtype", "f32").returncode == 0
    expected, found = tensors(converted)["t.blk.1.attn_k.weight"], tensors(out)["t.blk.1.attn_k.weight"]
    largest = np.abs(expected).reshape(-1, 32).max(axis=1).repeat(32).reshape(expected.shape)
    assert 0 < (np.abs(found - expected) / largest).max() <= error


def test_clip_cpp_refusals(converted: Path, tmp_path: Path) -> None:
    found, source, out = tensors(converted), tmp_path / "cpp.gguf", tmp_path / "out.gguf"
    done = convert(converted, out)
    assert done.returncode == 1
    assert f"{converted}: this is a clipon model already" in done.stderr
    for changed, kind, architecture, why in (
        ({}, GGMLQuantizationType.F32, "bert", "expected general.architecture 'clip'"),
        ({"clip.vision.patch_size": None}, GGMLQuantizationType.F32, "clip", "the key 'clip.vision.patch_size'"),
        ({}, GGMLQuantizationType.Q4_0, "clip", "tensor 't.blk.0.attn_q.weight': expected f32, f16, bf16 or q8_0"),
    ):
        done = convert(clip_cpp_file(source, found, changed, kind, architecture), out)
        assert done.returncode == 1
        assert f"clipon_convert: {source}: " in done.stderr
        assert why in done.stderr
        assert done.stderr.count("\n") == 1
        assert not out.exists()
    done = convert(clip_cpp_file(source, found | {"v.more.weight": np.zeros(32, np.float32)}), out)
    assert done.returncode == 1
    assert done.stderr == f"clipon_convert: {source}: tensor 'v.more.weight': the architecture has no such tensor\n"
    del found["v.class_embd"]
    done = convert(clip_cpp_file(source, found), out)
    assert done.returncode == 1
    assert "weight 'visual.class_embedding': expected shape [64]" in done.stderr


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("clipon.format_version", 0, "this is a clipon model already"),
        ("clipon.logit_scale", 2.0, "expected 'clipon.format_version' beside 'clipon.logit_scale', found none"),
        ("clip.has_text_encoder", False, "expected both towers, found no text tower (clip.has_text_encoder)"),
        ("clip.has_vision_encoder", False, "expected both towers, found no image tower (clip.has_vision_encoder)"),
    ],
)
def test_clip_cpp_keys_of_other_files(converted: Path, tmp_path: Path, key: str, value: object, why: str) -> None:
    source = clip_cpp_file(tmp_path / "cpp.gguf", tensors(converted), {key: value})
    done = convert(source, tmp_path / "out.gguf")
    assert done.returncode == 1
    assert done.stderr.startswith(f"clipon_convert: {source}: {why}")
