"""Every kind of source gives the same model file."""

from __future__ import annotations

import json
import random
from collections import OrderedDict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader, GGUFWriter

from clipon_convert.sources.torch_archive import read_torch_archive
from clipon_convert.vocabulary import (
    Merges,
    find_openai_merges,
    from_merges,
    merge_word,
    read_merges_file,
    recover_merges,
)
from conftest import MERGES, VOCABULARY, convert, huggingface_folder


def tensors(path: Path) -> dict[str, np.ndarray]:
    return {t.name: t.data.reshape([int(n) for n in reversed(t.shape)]) for t in GGUFReader(path).tensors}


def field(path: Path, key: str) -> object:
    found = GGUFReader(path).get_field(key)
    assert found is not None, key
    return found.contents()


@pytest.fixture
def converted(source: Path, bpe: Path, tmp_path: Path) -> Path:
    out = tmp_path / "openai.gguf"
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    return out


def assert_same_tensors(a: Path, b: Path) -> None:
    left, right = tensors(a), tensors(b)
    assert list(left) == list(right)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


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


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_state_dict(
    converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path, dtype: torch.dtype
) -> None:
    source, out = tmp_path / "state.pt", tmp_path / "state.gguf"
    state = OrderedDict((name, torch.from_numpy(values.copy()).to(dtype)) for name, values in weights.items())
    torch.save({"epoch": 3, "state_dict": {"module." + name: tensor for name, tensor in state.items()}}, source)
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    name = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 32}[dtype]
    assert field(out, "general.file_type") == name
    if dtype == torch.float32:
        assert_same_tensors(out, converted)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_training_checkpoints(tmp_path: Path, protocol: int) -> None:
    """An optimizer's state has numbers as keys."""
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(1, 3, 2, 2)).sum().backward()
    optimizer.step()
    state = {"epoch": 1, "state_dict": model.state_dict(), "optimizer": optimizer.state_dict(), "best": model[0].weight}
    torch.save(state, tmp_path / "epoch_1.pt", pickle_protocol=protocol)
    found, _ = read_torch_archive(tmp_path / "epoch_1.pt")
    assert set(found) == set(model.state_dict())
    np.testing.assert_array_equal(found["0.weight"], model[0].weight.detach().numpy())


class Part(torch.nn.Module):
    """A module whose parameters have the names that a nested dict gives."""

    def __init__(self, parameters: dict[str, object]) -> None:
        super().__init__()
        for name, value in parameters.items():
            if isinstance(value, dict):
                self.add_module(name, Part(value))
            else:
                self.register_parameter(name, torch.nn.Parameter(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def nested(weights: dict[str, np.ndarray]) -> dict[str, object]:
    tree: dict[str, object] = {}
    for name, values in weights.items():
        at = tree
        *parents, leaf = name.split(".")
        for parent in parents:
            at = at.setdefault(parent, {})  # type: ignore[assignment]
        at[leaf] = torch.from_numpy(values.copy())
    return tree


@pytest.mark.parametrize("half", [False, True])
def test_torchscript_archive(
    converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path, half: bool
) -> None:
    source, out = tmp_path / "script.pt", tmp_path / "script.gguf"
    module = Part(nested(weights))
    torch.jit.save(torch.jit.trace(module.half() if half else module, torch.zeros(1)), source)
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    if half:
        assert field(out, "general.file_type") == 1
        np.testing.assert_array_equal(
            tensors(out)["v.patch_embd.weight"], weights["visual.conv1.weight"].astype(np.float16)
        )
    else:
        assert_same_tensors(out, converted)


def test_huggingface(converted: Path, weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    out = tmp_path / "hf.gguf"
    done = convert(huggingface_folder(weights, tmp_path / "hf"), out)
    assert done.returncode == 0, done.stderr
    assert_same_tensors(out, converted)
    assert field(out, "tokenizer.ggml.tokens") == field(converted, "tokenizer.ggml.tokens")


def test_huggingface_folders_of_torch_pickles(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder = huggingface_folder(weights, tmp_path / "hf")
    (folder / "model.safetensors").unlink()
    done = convert(folder, tmp_path / "out.gguf")
    assert done.returncode == 1
    assert f"{folder / 'model.safetensors'}: expected the weights, found no such file" in done.stderr
    for name in ("pytorch_model.bin.index.json", "pytorch_model.bin"):
        (folder / name).write_bytes(b"")
        done = convert(folder, tmp_path / "out.gguf")
        assert done.returncode == 1
        assert f"expected the weights, found only {name}" in done.stderr
        assert "save_pretrained" in done.stderr
        assert done.stderr.count("\n") == 1


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
    refused = [
        ("vision_cfg", "timm_model_name", "vit_base"),
        ("vision_cfg", "pool_type", "avg"),
        ("text_cfg", "no_causal_mask", True),
        ("text_cfg", "hf_model_name", "roberta"),
    ]
    for where, key, value in refused:
        changed = json.loads(json.dumps(config))
        changed["model_cfg"][where][key] = value
        (source.parent / "open_clip_config.json").write_text(json.dumps(changed))
        done = convert(source, tmp_path / "refused.gguf", "--bpe", bpe)
        assert done.returncode == 1
        assert f"{where}.{key}" in done.stderr
        assert not (tmp_path / "refused.gguf").exists()


def test_clip_cpp(converted: Path, weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    source, out = tmp_path / "cpp.gguf", tmp_path / "again.gguf"
    writer = GGUFWriter(source, "clip")
    for tower in ("text", "vision"):
        for key, value in (("embedding_length", 64), ("feed_forward_length", 256), ("projection_dim", 24),
                           ("attention.head_count", 1), ("block_count", 2)):  # fmt: skip
            writer.add_uint32(f"clip.{tower}.{key}", value)
        writer.add_float32(f"clip.{tower}.attention.layer_norm_epsilon", 1e-5)
    writer.add_uint32("clip.text.context_length", 16)
    writer.add_uint32("clip.vision.image_size", 32)
    writer.add_uint32("clip.vision.patch_size", 16)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])
    writer.add_bool("clip.use_gelu", False)
    writer.add_token_list(from_merges(MERGES).tokens)
    for name, values in tensors(converted).items():
        writer.add_tensor(name, np.ascontiguousarray(values))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    done = convert(source, out)
    assert done.returncode == 0, done.stderr
    assert_same_tensors(out, converted)
    assert field(out, "clipon.tokenizer.merges") == MERGES


def test_merges_are_recovered() -> None:
    assert recover_merges(from_merges(MERGES).tokens) == MERGES
    openai = read_merges_file(find_openai_merges(), 49408)
    assert recover_merges(openai.tokens) == openai.merges


def merged_as_openai_does(symbols: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """simple_tokenizer.py, bpe(), line by line: looks through the whole word for each merge."""
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        merged: list[str] = []
        while symbols:
            taken = 2 if tuple(symbols[:2]) == best else 1
            merged.append("".join(symbols[:taken]))
            symbols = symbols[taken:]
        symbols = merged
    return symbols


def test_words_merge_as_openai_does() -> None:
    """Of two letters, so that pairs overlap and tear one another apart."""
    rng = random.Random(7)
    for _ in range(300):
        tokens, ranks, merges = ["a", "b"], {}, Merges()
        for _ in range(rng.randrange(1, 12)):
            left, right = rng.randrange(len(tokens)), rng.randrange(len(tokens))
            if tokens[left] + tokens[right] not in tokens:
                ranks[tokens[left], tokens[right]] = len(ranks)
                merges.add((left, right), len(tokens))
                tokens.append(tokens[left] + tokens[right])
        word = [rng.randrange(2) for _ in range(rng.randrange(60))]
        expected = merged_as_openai_does([tokens[symbol] for symbol in word], ranks)
        assert [tokens[symbol] for symbol in merge_word(word, merges)] == expected


def test_batch_norm_is_folded(tmp_path: Path) -> None:
    """The ResNet's convolutions with their BatchNorm, against torch's own batch_norm, in float64."""
    from clipon_convert.checkpoint import Checkpoint, ModifiedResNetConfig, TextConfig, TransformerConfig
    from clipon_convert.tensors import TensorList

    rng = np.random.default_rng(5)
    weights = {"c.weight": rng.standard_normal((6, 4, 3, 3))}
    for part in ("weight", "bias", "running_mean"):
        weights[f"n.{part}"] = rng.standard_normal(6)
    weights["n.running_var"] = rng.uniform(0.1, 2, 6)
    text = TextConfig(TransformerConfig(64, 1, 1, 256), 16, 10)
    checkpoint = Checkpoint(weights, 8, text, ModifiedResNetConfig((1, 1, 1, 1), 16, 8, 32))
    weight, bias = (t.data for t in TensorList(checkpoint).convolution("out", "c", "n", 6, 4, 3))
    x = torch.from_numpy(rng.standard_normal((2, 4, 9, 9)))
    w = {name: torch.from_numpy(values) for name, values in weights.items()}
    expected = torch.nn.functional.conv2d(x, w["c.weight"], padding=1)
    expected = torch.nn.functional.batch_norm(
        expected, w["n.running_mean"], w["n.running_var"], w["n.weight"], w["n.bias"]
    )
    found = torch.nn.functional.conv2d(x, torch.from_numpy(weight).double(), torch.from_numpy(bias).double(), padding=1)
    # the folded weights are rounded to float32: 36 products, each off by 2^-24 of itself
    assert float((found - expected).abs().max()) < 36 * 2**-24 * float(found.abs().max())


def test_safetensors_round_trip_of_bf16(tmp_path: Path) -> None:
    from safetensors.torch import save_file as save_torch

    from clipon_convert.sources.safetensors_file import read_safetensors

    values = torch.randn(64, dtype=torch.bfloat16)
    save_torch({"x": values}, tmp_path / "b.safetensors")
    found, stored = read_safetensors(tmp_path / "b.safetensors")
    assert stored == "bf16"
    np.testing.assert_array_equal(found["x"], values.float().numpy())
