"""OpenCLIP's checkpoints, where their model is OpenAI's in other sizes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from conftest import (
    VOCABULARY,
    assert_same_tensors,
    change,
    convert,
    field,
    huggingface_folder,
    make_resnet_weights,
)


def test_open_clip(converted: Path, source: Path, bpe: Path, tmp_path: Path) -> None:
    vision = {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16}
    text = {"context_length": 16, "vocab_size": VOCABULARY, "width": 64, "heads": 1, "layers": 2}
    half = [0.5, 0.5, 0.5]
    config = {
        "model_cfg": {"embed_dim": 24, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": half, "std": half, "interpolation": "bicubic", "resize_mode": "shortest"},
    }
    (source.parent / "open_clip_config.json").write_text(json.dumps(config))
    out = tmp_path / "open_clip.gguf"
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert_same_tensors(out, converted)
    assert field(out, "clip.vision.image_std") == [0.5, 0.5, 0.5]
    assert field(out, "clip.vision.image_mean") == [0.5, 0.5, 0.5]
    assert field(out, "clipon.text.activation") == "quick_gelu"
    assert field(out, "clipon.source") == "model.safetensors (OpenCLIP checkpoint)"
    refused = [
        ("model_cfg.vision_cfg", "timm_model_name", "vit_base"),
        ("model_cfg.vision_cfg", "pool_type", "avg"),
        ("model_cfg.vision_cfg", "ls_init_value", 0.1),
        ("model_cfg.text_cfg", "no_causal_mask", True),
        ("model_cfg.text_cfg", "hf_model_name", "roberta"),
        ("model_cfg.text_cfg", "pad_id", 1),
        ("model_cfg.text_cfg", "hf_tokenizer_name", "bert-base-uncased"),
        ("model_cfg.text_cfg", "width", 128),
        ("model_cfg.text_cfg", "layers", 7),
        ("model_cfg.text_cfg", "context_length", 77),
        ("model_cfg.text_cfg", "vocab_size", 49408),
        ("model_cfg.vision_cfg", "image_size", 40),
        ("model_cfg.vision_cfg", "patch_size", 32),
        ("model_cfg.vision_cfg", "layers", 12),
        ("model_cfg.vision_cfg", "width", 768),
        ("model_cfg.vision_cfg", "heads", 4),
        ("model_cfg.vision_cfg", "act_kwargs", {"approximate": "tanh"}),
        ("model_cfg", "embed_dim", 512),
        ("model_cfg", "multimodal_cfg", {}),
        ("preprocess_cfg", "size", [32, 64]),
        ("preprocess_cfg", "mean", 0.5),
        ("preprocess_cfg", "interpolation", "random"),
        ("preprocess_cfg", "resize_mode", "longest"),
    ]
    for where, key, value in refused:
        (source.parent / "open_clip_config.json").write_text(json.dumps(config))
        change(source.parent / "open_clip_config.json", {key: value}, *where.split("."))
        done = convert(source, tmp_path / "refused.gguf", "--bpe", bpe)
        assert done.returncode == 1
        assert f"open_clip_config.json: {where.removeprefix('model_cfg.')}.{key}" in done.stderr
        assert not (tmp_path / "refused.gguf").exists()
    silent = {"act_kwargs": {}, "norm_kwargs": None, "timm_model_name": None, "image_size": [32, 32]}
    config["model_cfg"]["vision_cfg"] |= silent
    config["model_cfg"]["text_cfg"] |= {"heads": None, "proj_type": "linear", "hf_tokenizer_name": None}
    (source.parent / "open_clip_config.json").write_text(json.dumps(config))
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert field(out, "clip.text.attention.head_count") == 8  # open_clip's CLIPTextCfg


def test_open_clip_resnets(bpe: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "a.safetensors", tmp_path / "a.gguf"
    save_file(make_resnet_weights(), source)
    vision = {"image_size": 32, "layers": [1, 2, 1, 1], "width": 4, "head_width": 32, "patch_size": None}
    model = {"embed_dim": 24, "quick_gelu": True, "vision_cfg": vision, "text_cfg": {"heads": 1}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(model))
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert field(out, "clip.vision.attention.head_count") == 4  # 32 x 4 channels
    change(tmp_path / "open_clip_config.json", {"layers": [3, 4, 6, 3]}, "vision_cfg")
    assert "vision_cfg.layers is [3, 4, 6, 3], but the weights are" in convert(source, out, "--bpe", bpe).stderr


def test_open_clip_folders(converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "folder", tmp_path / "out.gguf"
    folder.mkdir()
    save_file(weights, folder / "open_clip_model.safetensors")
    done = convert(folder / "open_clip_model.safetensors", out, "--bpe", bpe)
    assert done.returncode == 1
    assert "expected OpenCLIP's open_clip_config.json beside it, found none" in done.stderr
    model = {"quick_gelu": True, "text_cfg": {"heads": 1}, "vision_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
    for source in (folder, folder / "open_clip_model.safetensors"):
        done = convert(source, out, "--bpe", bpe)
        assert done.returncode == 0, done.stderr
        assert_same_tensors(out, converted)
    (folder / "open_clip_model.safetensors").unlink()
    done = convert(folder, out, "--bpe", bpe)
    assert done.returncode == 1
    assert f"{folder}: expected open_clip_model.safetensors or " in done.stderr


@pytest.mark.parametrize("config", [{"architecture": "vit_base"}, {"model_type": "clip"}, []])
def test_open_clip_folders_with_configs_of_others(
    converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path, config: object
) -> None:
    """timm's config.json; a CLIPModel's without its weights."""
    folder, out = tmp_path / "folder", tmp_path / "out.gguf"
    folder.mkdir()
    save_file(weights, folder / "open_clip_model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    model = {"quick_gelu": True, "text_cfg": {"heads": 1}, "vision_cfg": {}}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model}))
    done = convert(folder, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert field(out, "clipon.source") == "folder (OpenCLIP checkpoint)"
    assert_same_tensors(out, converted)


def test_a_whole_model_of_hugging_face_goes_before_open_clips(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder, out = huggingface_folder(weights, tmp_path / "hf"), tmp_path / "out.gguf"
    (folder / "open_clip_config.json").write_text("{}")
    done = convert(folder, out)
    assert done.returncode == 0, done.stderr
    assert field(out, "clipon.source") == "hf (Hugging Face CLIPModel)"


@pytest.mark.parametrize("nested_config", [False, True])
def test_open_clip_of_other_kinds(
    weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path, nested_config: bool
) -> None:
    """Without quick_gelu it is GELU; configs also come without preprocessing, weights also from torch.save."""
    model = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "head_width": 16, "ls_init_value": None},
        "text_cfg": {"heads": 2, "pool_type": "argmax"},
    }
    preprocessing = {"preprocess_cfg": {"size": [32, 32], "interpolation": "bilinear", "resize_mode": "squash"}}
    config = {"model_cfg": model} | preprocessing if nested_config else model
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    source, out = tmp_path / "open_clip_pytorch_model.bin", tmp_path / "out.gguf"
    torch.save({name: torch.from_numpy(values.copy()) for name, values in weights.items()}, source)
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert [field(out, f"clipon.{tower}.activation") for tower in ("text", "vision")] == ["gelu", "gelu"]
    assert [field(out, f"clip.{tower}.attention.head_count") for tower in ("text", "vision")] == [2, 4]
    found = [field(out, f"clipon.preprocess.{key}") for key in ("interpolation", "resize_mode")]
    assert found == (["bilinear", "squash"] if nested_config else ["bicubic", "shortest"])
