"""OpenAI's names in a safetensors file, and what may stand beside it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from clipon_convert.dtypes import most_stored
from clipon_convert.errors import ConversionError
from clipon_convert.sources.names import HUGGINGFACE, to_openai
from clipon_convert.sources.weights_file import read_weights
from conftest import (
    MERGES,
    VOCABULARY,
    assert_same_tensors,
    convert,
    field,
    tensors,
)


def test_safetensors(converted: Path, weights: dict[str, np.ndarray]) -> None:
    found = tensors(converted)
    width = 64
    np.testing.assert_array_equal(found["v.patch_embd.weight"], weights["visual.conv1.weight"])
    key = weights["transformer.resblocks.1.attn.in_proj_weight"][width : 2 * width]
    np.testing.assert_array_equal(found["t.blk.1.attn_k.weight"], key)
    np.testing.assert_array_equal(
        found["v.blk.0.ffn_down.weight"], weights["visual.transformer.resblocks.0.mlp.c_fc.weight"]
    )
    np.testing.assert_array_equal(found["text_projection.weight"], weights["text_projection"].T)
    assert field(converted, "clip.vision.image_size") == 32
    assert field(converted, "clip.text.context_length") == 16
    assert field(converted, "clipon.tokenizer.merges") == MERGES
    assert field(converted, "clipon.tokenizer.end_token_id") == VOCABULARY - 1
    assert field(converted, "clipon.logit_scale") == pytest.approx(np.log(100.0))


def with_config(source: Path, config: dict[str, object]) -> Path:
    source.with_name("config.json").write_text(json.dumps({"model_type": "clip-openai", **config}))
    return source


def test_a_config_beside_the_weights(source: Path, bpe: Path, tmp_path: Path) -> None:
    config = {
        "activation": "gelu",
        "transformer_heads": 2,
        "vision_heads": 4,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.3, 0.4],
        "image_resolution": 32,
        "context_length": 16,
        "vocab_size": VOCABULARY,
        "embed_dim": 24,
        "sot": VOCABULARY - 2,
        "eot": VOCABULARY - 1,
    }
    bpe.rename(tmp_path / "bpe_merges_16e6.txt")
    out = tmp_path / "out.gguf"
    done = convert(with_config(source, config), out)
    assert done.returncode == 0, done.stderr
    assert field(out, "clipon.tokenizer.merges") == MERGES
    assert [field(out, f"clipon.{tower}.activation") for tower in ("text", "vision")] == ["gelu", "gelu"]
    assert [field(out, f"clip.{tower}.attention.head_count") for tower in ("text", "vision")] == [2, 4]
    assert field(out, "clip.use_gelu") is True
    assert field(out, "clip.vision.image_mean") == pytest.approx([0.5, 0.4, 0.3])
    assert field(out, "clip.vision.image_std") == pytest.approx([0.2, 0.3, 0.4])
    for key in ("image_resolution", "context_length", "vocab_size", "embed_dim", "sot", "eot"):
        done = convert(with_config(source, {**config, key: 7}), tmp_path / "refused.gguf")
        assert done.returncode == 1
        assert f"config.json: '{key}' is 7, but " in done.stderr
    done = convert(with_config(source, {"model_type": "other", "vision_heads": 4}), out)
    assert done.returncode == 0, done.stderr
    assert field(out, "clip.vision.attention.head_count") == 1


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ('{"model_type": "clip-openai", "image_mean": 0.5}', "config.json: image_mean: expected 3 numbers, found 0.5"),
        ("[]", "config.json: expected an object, found []"),
    ],
)
def test_configs_beside_of_other_types(source: Path, bpe: Path, tmp_path: Path, config: str, why: str) -> None:
    source.with_name("config.json").write_text(config)
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert done.stderr.endswith(f"{why}\n") and "Error" not in done.stderr


def test_a_config_beside_an_archive_is_not_its_own(weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "a.pt", tmp_path / "a.gguf"
    torch.save({name: torch.from_numpy(values.copy()) for name, values in weights.items()}, source)
    assert convert(with_config(source, {"vision_heads": 4}), out, "--bpe", bpe).returncode == 0
    assert field(out, "clip.vision.attention.head_count") == 1


def test_names_that_only_begin_like_known_ones_stay() -> None:
    values = np.zeros((2, 2), np.float32)
    assert list(to_openai({"logit_scale.more": values}, HUGGINGFACE)) == ["logit_scale.more"]


@pytest.mark.parametrize("shapes", [{"q": (2, 2)}, {"k": (2, 2), "v": (2, 2)}, {"q": (4, 2), "k": (1, 2), "v": (1, 2)}])
def test_thirds_of_attentions_are_of_one_shape(shapes: dict[str, tuple[int, int]]) -> None:
    attention = "text_model.encoder.layers.0.self_attn"
    weights = {f"{attention}.{part}_proj.weight": np.zeros(shape, np.float32) for part, shape in shapes.items()}
    with pytest.raises(ConversionError, match=rf"weight '{attention}\.[qk]_proj\.weight': expected q, k and v of one"):
        to_openai(weights, HUGGINGFACE)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("text_model.encoder.layers.0.mlp.fc1.weight", "these are Hugging Face's names: convert the folder"),
        ("_orig_mod.token_embedding.weight", "such as 'token_embedding.weight', found '_orig_mod.token_embedding"),
    ],
)
def test_files_of_other_names(tmp_path: Path, bpe: Path, name: str, why: str) -> None:
    source = tmp_path / "a.safetensors"
    save_file({name: np.zeros((2, 2), np.float32)}, source)
    done = convert(source, tmp_path / "a.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert done.stderr.startswith(f"clipon_convert: {source}: expected weights under OpenAI's names")
    assert why in done.stderr


def test_the_source_is_not_written_over(source: Path, bpe: Path) -> None:
    before = source.read_bytes()
    done = convert(source, source.parent / "." / source.name, "--bpe", bpe)
    assert done.returncode == 1
    assert "expected another file than the source to write to, found the source" in done.stderr
    assert source.read_bytes() == before


def test_merges_given_go_before_those_beside(source: Path, bpe: Path, tmp_path: Path) -> None:
    (tmp_path / "bpe_merges_16e6.txt").write_text("\n".join(["header", *MERGES[:-1], "h e"]))
    out = tmp_path / "out.gguf"
    assert convert(source, out, "--bpe", bpe).returncode == 0
    assert field(out, "clipon.tokenizer.merges") == MERGES


def test_safetensors_round_trip_of_bf16(tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch

    values = torch.randn(64, dtype=torch.bfloat16)
    save_torch({"x": values}, tmp_path / "b.safetensors")
    found = read_weights(tmp_path / "b.safetensors")
    assert found.stored_type == "bf16"
    np.testing.assert_array_equal(found.weights["x"], values.float().numpy())


def test_safetensors_types(tmp_path: Path) -> None:
    path, values = tmp_path / "a.safetensors", np.array([1 / 3, -1e-30])
    save_file({"x": values, "y": np.arange(40), "z": values[:1].astype(np.float16)}, path)
    read = read_weights(path)
    weights = read.weights
    assert read.stored_type == "f32"
    assert weights["x"].dtype == np.float32
    np.testing.assert_array_equal(weights["x"], values.astype(np.float32))
    np.testing.assert_array_equal(weights["y"], np.arange(40))
    small = {str(i): np.ones(2, np.float32) for i in range(5)}
    save_file({**small, "x": np.ones(11, np.float16)}, path)
    assert read_weights(path).stored_type == "f16"  # of most elements, not of most tensors
    save_file({"y": np.arange(3)}, path)
    assert read_weights(path).stored_type == "f32"


def test_masks_of_either_format(converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path) -> None:
    """The text tower's mask may be of truth values; its name has no place in a model."""
    mask = np.triu(np.ones((16, 16), bool), 1)
    out = tmp_path / "out.gguf"
    save_file({**weights, "attn_mask": mask}, tmp_path / "a.safetensors")
    torch.save(
        {name: torch.from_numpy(w.copy()) for name, w in (weights | {"attn_mask": mask}).items()}, tmp_path / "a.pt"
    )
    for name in ("a.safetensors", "a.pt"):
        done = convert(tmp_path / name, out, "--bpe", bpe)
        assert done.returncode == 0, done.stderr
        assert_same_tensors(out, converted)


def test_integers_of_safetensors(tmp_path: Path) -> None:
    values = {kind: np.array([1, 0, 1], kind) for kind in ("bool", "uint8", "int8", "int16", "int32", "int64")}
    save_file(values, tmp_path / "a.safetensors")
    found = read_weights(tmp_path / "a.safetensors").weights
    assert {name: (w.dtype.name, w.tolist()) for name, w in found.items()} == {n: (n, [1, 0, 1]) for n in values}


def test_files_that_are_named_as_of_the_other_format(weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path) -> None:
    save_file(weights, tmp_path / "a.pt")
    torch.save({name: torch.from_numpy(values.copy()) for name, values in weights.items()}, tmp_path / "a.safetensors")
    for name, why in (
        ("a.pt", "expected a ZIP of torch.save, found a safetensors file: name it .safetensors"),
        ("a.safetensors", "expected a safetensors file, found a ZIP as torch.save writes it: name it .pt"),
    ):
        done = convert(tmp_path / name, tmp_path / "out.gguf", "--bpe", bpe)
        assert (done.returncode, done.stderr) == (1, f"clipon_convert: {tmp_path / name}: {why}\n")


def test_of_two_types_with_as_many_elements_it_is_always_the_same() -> None:
    assert most_stored({"bf16": 3, "f16": 3}) == most_stored({"f16": 3, "bf16": 3}) == "f16"
    assert most_stored({"f16": 3, "f32": 3}) == "f32"
    assert most_stored({"bf16": 4, "f32": 3}) == "bf16"
