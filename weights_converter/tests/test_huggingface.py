"""A folder of Hugging Face gives the same model file: its configs, tokenizers and shards."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from clipon_convert.checkpoint import (
    TextConfig,
    TransformerConfig,
    VisionTransformerConfig,
)
from clipon_convert.sources import huggingface
from clipon_convert.vocabulary import (
    from_merges,
    read_huggingface,
)
from conftest import (
    MERGES,
    VOCABULARY,
    assert_same_tensors,
    change,
    convert,
    field,
    huggingface_folder,
)


def test_huggingface(converted: Path, weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "hf.gguf"
    done = convert(huggingface_folder(weights, tmp_path / "hf"), out)
    assert done.returncode == 0, done.stderr
    assert_same_tensors(out, converted)
    assert field(out, "tokenizer.ggml.tokens") == field(converted, "tokenizer.ggml.tokens")


def test_huggingface_folders_of_torch_pickles(converted: Path, weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    """In transformers' order: a file before its shards, safetensors before pickles."""
    folder, out = huggingface_folder(weights, tmp_path / "hf"), tmp_path / "out.gguf"
    whole = {name: torch.from_numpy(w.copy()) for name, w in load_file(folder / "model.safetensors").items()}
    (folder / "model.safetensors").unlink()
    done = convert(folder, out)
    assert done.returncode == 1
    assert f"{folder}: expected the weights, model.safetensors or pytorch_model.bin, found neither" in done.stderr
    names = sorted(whole)
    shards = {f"pytorch_model-{i}.bin": {name: whole[name] for name in names[i::2]} for i in range(2)}
    for file, part in shards.items():
        torch.save(part, folder / file)
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert convert(folder, out).returncode == 0
    assert_same_tensors(out, converted)
    other = {name: 2 * values for name, values in whole.items()}
    torch.save(other, folder / "pytorch_model.bin")
    assert convert(folder, out).returncode == 0
    assert field(out, "clipon.logit_scale") == pytest.approx(2 * np.log(100.0))
    save_file({name: w.numpy() for name, w in whole.items()}, folder / "model.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "stale.safetensors"}}))
    assert convert(folder, out).returncode == 0
    assert_same_tensors(out, converted)


def test_processors_of_transformers_5(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    """One file for tokenizer and pictures; the picture's own goes before it."""
    folder, out = huggingface_folder(weights, tmp_path / "hf"), tmp_path / "out.gguf"
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "image_mean": [0.5, 0.4, 0.3],
        "resample": 2,
        "rescale_factor": 0.00392156862745098,
        "crop_size": {"height": 32, "width": 32},
        "size": {"shortest_edge": 32},
    }
    change(folder / "processor_config.json", {"image_processor": processor, "processor_class": "CLIPProcessor"})
    assert convert(folder, out).returncode == 0
    assert field(out, "clip.vision.image_mean") == pytest.approx([0.5, 0.4, 0.3])
    assert field(out, "clipon.preprocess.interpolation") == "bilinear"
    change(folder / "preprocessor_config.json", {"image_mean": [0.1, 0.2, 0.3]})
    assert convert(folder, out).returncode == 0
    assert field(out, "clip.vision.image_mean") == pytest.approx([0.1, 0.2, 0.3])
    assert field(out, "clipon.preprocess.interpolation") == "bicubic"


def test_null_is_the_default_and_twins_go_first(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    """transformers' CLIPConfig: text_config_dict, where it is not null, is all that counts."""
    folder, out = huggingface_folder(weights, tmp_path / "hf"), tmp_path / "out.gguf"
    path = folder / "config.json"
    config = json.loads(path.read_text())
    twin = {**config["text_config"], "hidden_act": "gelu", "layer_norm_eps": None, "eos_token_id": None}
    config |= {"text_config_dict": twin, "vision_config_dict": None}
    path.write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text('{"image_mean": null, "size": null, "do_rescale": null}')
    done = convert(folder, out)
    assert done.returncode == 0, done.stderr
    assert [field(out, f"clipon.{tower}.activation") for tower in ("text", "vision")] == ["gelu", "quick_gelu"]
    assert field(out, "clip.text.attention.layer_norm_epsilon") == pytest.approx(1e-5)
    path.write_text(json.dumps({**config, "text_config": None, "text_config_dict": None}))
    done = convert(folder, out)
    assert done.returncode == 1
    assert "'token_embedding.weight': expected shape [49408, 512], found [520, 64]" in done.stderr


@pytest.mark.parametrize("other", ["vocab.txt", None])
def test_openais_merges_are_no_guess(weights: dict[str, np.ndarray], tmp_path: Path, other: str | None) -> None:
    folder = huggingface_folder(weights, tmp_path / "hf")
    (folder / "vocab.json").unlink()
    if other:
        (folder / other).write_text("[PAD]")
        change(folder / "config.json", {"vocab_size": 49408}, "text_config")
    done = convert(folder, tmp_path / "out.gguf")
    assert done.returncode == 1
    assert f"found {other or 'none, and 520 tokens'}" in done.stderr


def test_huggingface_tokenizer_json_and_gelu(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder = huggingface_folder(weights, tmp_path / "hf", "gelu")
    (folder / "vocab.json").unlink()
    tokens = from_merges(MERGES).tokens
    pairs = [merge.split(" ") for merge in MERGES]
    model = {"type": "BPE", "vocab": {token: i for i, token in enumerate(tokens)}, "merges": pairs}
    (folder / "tokenizer.json").write_text(json.dumps({"model": model}))
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_mean": [0.5, 0.4, 0.3],
                "image_std": [0.2, 0.2, 0.2],
                "size": {"height": 32, "width": 32},
                "resample": 2,
            }
        )
    )
    out = tmp_path / "hf.gguf"
    done = convert(folder, out)
    assert done.returncode == 0, done.stderr
    assert field(out, "clipon.tokenizer.merges") == MERGES
    assert field(out, "clipon.text.activation") == "gelu"
    assert field(out, "clipon.preprocess.resize_mode") == "squash"
    assert field(out, "clipon.preprocess.interpolation") == "bilinear"
    assert field(out, "clip.vision.image_mean") == pytest.approx([0.5, 0.4, 0.3])


def test_huggingface_configs_say_what_shapes_can_not(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    half = {name: values.astype(np.float16) for name, values in weights.items()}
    folder = huggingface_folder(half, tmp_path / "hf", "gelu_new")
    change(folder / "config.json", {"num_attention_heads": 2, "layer_norm_eps": 1e-6}, "text_config")
    change(folder / "config.json", {"num_attention_heads": 4, "layer_norm_eps": 1e-7}, "vision_config")
    change(folder / "preprocessor_config.json", {"size": {"shortest_edge": 32}, "image_std": [0.2, 0.3, 0.4]})
    out = tmp_path / "hf.gguf"
    done = convert(folder, out)
    assert done.returncode == 0, done.stderr
    for tower, heads, epsilon in (("text", 2, 1e-6), ("vision", 4, 1e-7)):
        assert field(out, f"clip.{tower}.attention.head_count") == heads
        assert field(out, f"clip.{tower}.attention.layer_norm_epsilon") == pytest.approx(epsilon)
        assert field(out, f"clipon.{tower}.activation") == "gelu_tanh"
    assert field(out, "clip.vision.image_std") == pytest.approx([0.2, 0.3, 0.4])
    assert field(out, "clipon.preprocess.resize_mode") == "shortest"
    assert field(out, "clipon.preprocess.interpolation") == "bicubic"
    assert field(out, "clipon.source") == "hf (Hugging Face CLIPModel)"
    assert field(out, "general.file_type") == 1


def test_huggingface_defaults_are_those_of_vit_b_32(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    """transformers' CLIPTextConfig and CLIPVisionConfig; configs on the hub leave out what equals them."""
    folder = huggingface_folder(weights, tmp_path / "hf")
    (folder / "config.json").write_text('{"model_type": "clip"}')
    checkpoint = huggingface.read(folder, None)
    assert checkpoint.text == TextConfig(TransformerConfig(512, 12, 8, 2048, 1e-5, "quick_gelu"), 77, 49408)
    transformer = TransformerConfig(768, 12, 12, 3072, 1e-5, "quick_gelu")
    assert checkpoint.vision == VisionTransformerConfig(transformer, 224, 32)
    assert checkpoint.name == "ViT-B/32"


@pytest.mark.parametrize(
    ("file", "parents", "changed", "why"),
    [
        ("config.json", (), {"model_type": "siglip"}, "config.json: expected model_type 'clip', found 'siglip'"),
        ("config.json", ("text_config",), {"hidden_act": "relu"}, "hidden_act: expected one of"),
        ("config.json", ("text_config",), {"eos_token_id": 7}, "eos_token_id is 7"),
        ("config.json", ("text_config",), {"vocab_size": VOCABULARY + 1}, "expected shape [521, 64]"),
        ("config.json", ("text_config",), {"intermediate_size": 128}, "expected shape [128, 64], found [256, 64]"),
        ("config.json", ("vision_config",), {"image_size": 64}, "expected shape [17, 64], found [5, 64]"),
        ("preprocessor_config.json", (), {"resample": 1}, "preprocessor_config.json: resample: expected 2"),
        (
            "config.json",
            ("text_config",),
            {"num_attention_heads": 3},
            "attention heads: expected a divisor of the width",
        ),
        (
            "config.json",
            ("vision_config",),
            {"num_attention_heads": 0},
            "attention heads: expected a whole number from 1",
        ),
        (
            "config.json",
            ("vision_config",),
            {"layer_norm_eps": 0},
            "epsilon of LayerNorm: expected a number from 1e-12",
        ),
        ("config.json", ("vision_config",), {"patch_size": 12}, "patch size: expected a divisor of the image size 32"),
        ("preprocessor_config.json", (), {"image_mean": [0.5]}, "mean of the pixels: expected 3 numbers, found 1"),
        ("preprocessor_config.json", (), {"image_std": [0, 1, 1]}, "std of the pixels: expected a number from 0.001"),
        ("preprocessor_config.json", (), {"image_processor_type": "ViTImageProcessor"}, "found 'ViTImageProcessor'"),
        ("preprocessor_config.json", (), {"feature_extractor_type": "Other"}, "expected one of ['CLIPImageProcessor'"),
        ("preprocessor_config.json", (), {"do_normalize": False}, "do_normalize: expected true, found False"),
        ("preprocessor_config.json", (), {"do_resize": False}, "do_resize: expected true"),
        ("preprocessor_config.json", (), {"do_center_crop": False}, "do_center_crop: expected true"),
        ("preprocessor_config.json", (), {"image_mean": 0.5}, "config.json: image_mean: expected 3 numbers, found 0.5"),
        ("preprocessor_config.json", (), {"image_std": "a"}, "config.json: image_std: expected 3 numbers, found 'a'"),
        (
            "preprocessor_config.json",
            (),
            {"do_center_crop": False, "size": {"shortest_edge": 32}},
            "do_center_crop: expected true",
        ),
        (
            "preprocessor_config.json",
            (),
            {"do_center_crop": False, "size": {"height": 64, "width": 64}},
            "size: expected 32",
        ),
        ("processor_config.json", (), {"image_processor": [1]}, "image_processor: expected an object, found [1]"),
        ("preprocessor_config.json", (), {"rescale_factor": 0.00784}, "rescale_factor: expected 1/255, found 0.00784"),
        ("preprocessor_config.json", (), {"crop_size": 16}, "crop_size: expected 32, the tower's, found 16"),
        ("preprocessor_config.json", (), {"size": {"longest_edge": 32}}, "expected shortest_edge, or height and width"),
        ("preprocessor_config.json", (), {"size": 64}, "preprocessor_config.json: size: expected 32"),
        ("preprocessor_config.json", (), {"size": {"height": 32, "width": 64}}, "size: expected 32"),
        ("vocab.json", (), {"gap": VOCABULARY + 1}, "ids from 0 without a gap"),
        ("vocab.json", (), {"more": VOCABULARY}, "vocabulary: expected 520 tokens, found 521"),
        ("vocab.json", (), {"<|endoftext|>": None, "end": VOCABULARY - 1}, "expected the tokens <|startoftext|> and"),
        ("vocab.json", (), {"<|startoftext|>": None, "start": VOCABULARY - 2}, "expected the tokens <|startoftext|>"),
    ],
)
def test_huggingface_refusals(
    weights: dict[str, np.ndarray],
    tmp_path: Path,
    file: str,
    parents: tuple[str, ...],
    changed: dict[str, object],
    why: str,
) -> None:
    folder = huggingface_folder(weights, tmp_path / "hf")
    change(folder / file, changed, *parents)
    done = convert(folder, tmp_path / "out.gguf")
    assert done.returncode == 1
    assert why in done.stderr
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize("name", ["preprocessor_config.json", "processor_config.json"])
def test_processors_that_are_no_objects(weights: dict[str, np.ndarray], tmp_path: Path, name: str) -> None:
    folder = huggingface_folder(weights, tmp_path / "hf")
    (folder / name).write_text("[]")
    done = convert(folder, tmp_path / "out.gguf")
    assert (done.returncode, done.stderr) == (1, f"clipon_convert: {folder / name}: expected an object, found []\n")


def test_pictures_that_are_squashed_need_no_crop(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder, out = huggingface_folder(weights, tmp_path / "hf"), tmp_path / "out.gguf"
    squashed = {"do_center_crop": False, "size": {"height": 32, "width": 32}}
    change(folder / "preprocessor_config.json", squashed)
    done = convert(folder, out)
    assert done.returncode == 0, done.stderr
    assert field(out, "clipon.preprocess.resize_mode") == "squash"


@pytest.mark.parametrize(
    "model",
    [{"type": "WordPiece"}, {"type": "BPE", "end_of_word_suffix": "@"}],
)
def test_tokenizers_of_other_kinds(weights: dict[str, np.ndarray], tmp_path: Path, model: dict[str, str]) -> None:
    folder = huggingface_folder(weights, tmp_path / "hf")
    (folder / "vocab.json").rename(folder / "ids.json")
    vocabulary = {"vocab": json.loads((folder / "ids.json").read_text()), "merges": MERGES}
    for kind, code in ((model, 1), ({"type": "BPE", "end_of_word_suffix": "</w>"}, 0)):
        (folder / "tokenizer.json").write_text(json.dumps({"model": {**vocabulary, **kind}}))
        done = convert(folder, tmp_path / "out.gguf")
        assert done.returncode == code
        assert (f"{folder / 'tokenizer.json'}: expected byte-pair encoding" in done.stderr) == (code == 1)
    assert field(tmp_path / "out.gguf", "clipon.tokenizer.merges") == MERGES


@pytest.mark.parametrize("missing", ["vocab.json", "merges.txt"])
def test_half_a_vocabulary_is_none(weights: dict[str, np.ndarray], tmp_path: Path, missing: str) -> None:
    folder = huggingface_folder(weights, tmp_path / "hf")
    ids = json.loads((folder / "vocab.json").read_text())
    (folder / missing).unlink()
    assert read_huggingface(folder) is None
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"vocab": ids, "merges": MERGES}}))
    assert read_huggingface(folder) == from_merges(MERGES)


def test_given_merges_replace_those_of_a_folder(weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path) -> None:
    folder = huggingface_folder(weights, tmp_path / "hf")
    merges = [*MERGES[:-1], "# #"]  # not a comment
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    change(folder / "vocab.json", {"the</w>": None, "##": VOCABULARY - 3})
    out = tmp_path / "out.gguf"
    assert convert(folder, out).returncode == 0
    assert field(out, "clipon.tokenizer.merges") == merges
    assert convert(folder, out, "--bpe", bpe).returncode == 0
    assert field(out, "clipon.tokenizer.merges") == MERGES


def test_huggingface_shards(converted: Path, weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder, out = huggingface_folder(weights, tmp_path / "hf"), tmp_path / "hf.gguf"
    whole = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(whole)
    shards = {f"model-{i}.safetensors": {name: whole[name] for name in names[i::3]} for i in range(3)}
    for file, part in shards.items():
        save_file(part, folder / file)
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    done = convert(folder, out)
    assert done.returncode == 0, done.stderr
    assert_same_tensors(out, converted)
    for file, part in shards.items():
        half = {name: values.astype(np.float16) for name, values in part.items()}
        half["text_model.embeddings.position_ids"] = np.arange(16)
        save_file(half, folder / file)
    done = convert(folder, out)
    assert done.returncode == 0, done.stderr
    assert field(out, "general.file_type") == 1
    save_file(shards["model-2.safetensors"], folder / "model-2.safetensors")
    assert convert(folder, out).returncode == 0
    assert field(out, "general.file_type") == 1  # of most elements, not of the last shard
