"""A small checkpoint under OpenAI's names, made in memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGUFReader
from huggingface_names import to_huggingface
from safetensors.numpy import save_file

from clipon_convert.vocabulary import from_merges

MERGES = ["a t</w>", "c at</w>", "d o", "do g</w>", "t h", "th e</w>"]
VOCABULARY = 2 * 256 + len(MERGES) + 2
HERE = Path(__file__).resolve().parent
# a config.json beside weights under OpenAI's names that leaves nothing to assume
ALL_SAID = {
    "model_type": "clip-openai",
    "activation": "quick_gelu",
    "transformer_heads": 1,
    "vision_heads": 1,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}


def blocks(weights: dict[str, np.ndarray], prefix: str, width: int, layers: int, rng: np.random.Generator) -> None:
    def normal(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.1).astype(np.float32)

    for i in range(layers):
        block = f"{prefix}.resblocks.{i}"
        weights[block + ".attn.in_proj_weight"] = normal(3 * width, width)
        weights[block + ".attn.in_proj_bias"] = normal(3 * width)
        for name, out, inp in (
            ("attn.out_proj", width, width),
            ("mlp.c_fc", 4 * width, width),
            ("mlp.c_proj", width, 4 * width),
        ):
            weights[f"{block}.{name}.weight"] = normal(out, inp)
            weights[f"{block}.{name}.bias"] = normal(out)
        for name in ("ln_1", "ln_2"):
            weights[f"{block}.{name}.weight"] = 1 + normal(width)
            weights[f"{block}.{name}.bias"] = normal(width)


def make_weights(seed: int = 0, width: int = 64, embed_dim: int = 24) -> dict[str, np.ndarray]:
    """A ViT of 32 px, patches of 16, two blocks, and a text tower of two blocks and 16 tokens."""
    rng = np.random.default_rng(seed)

    def normal(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) * 0.1).astype(np.float32)

    weights = {
        "visual.conv1.weight": normal(width, 3, 16, 16),
        "visual.class_embedding": normal(width),
        "visual.positional_embedding": normal(5, width),
        "visual.proj": normal(width, embed_dim),
        "token_embedding.weight": normal(VOCABULARY, width),
        "positional_embedding": normal(16, width),
        "text_projection": normal(width, embed_dim),
        "logit_scale": np.array(np.log(100.0), np.float32),
    }
    for name in ("visual.ln_pre", "visual.ln_post", "ln_final"):
        weights[name + ".weight"], weights[name + ".bias"] = 1 + normal(width), normal(width)
    blocks(weights, "visual.transformer", width, 2, rng)
    blocks(weights, "transformer", width, 2, rng)
    return weights


def make_resnet_weights(width: int = 4, embed_dim: int = 24) -> dict[str, np.ndarray]:
    """A ModifiedResNet of 32 px with blocks 1, 2, 1, 1, and the text tower of make_weights()."""
    rng = np.random.default_rng(1)
    weights = {name: values for name, values in make_weights().items() if not name.startswith("visual.")}

    def convolution(conv: str, norm: str, out: int, channels: int, kernel: int) -> None:
        shape = (out, channels, kernel, kernel)
        weights[f"visual.{conv}.weight"] = (rng.standard_normal(shape) * 0.1).astype(np.float32)
        for part in ("weight", "bias", "running_mean"):
            weights[f"visual.{norm}.{part}"] = rng.standard_normal(out).astype(np.float32)
        weights[f"visual.{norm}.running_var"] = rng.uniform(0.1, 2, out).astype(np.float32)
        weights[f"visual.{norm}.num_batches_tracked"] = np.array(7)

    for k, (out, channels) in enumerate(((width // 2, 3), (width // 2, width // 2), (width, width // 2)), 1):
        convolution(f"conv{k}", f"bn{k}", out, channels, 3)
    channels = width
    for stage, blocks in enumerate((1, 2, 1, 1)):
        planes = width << stage
        for n in range(blocks):
            block = f"layer{stage + 1}.{n}"
            convolution(f"{block}.conv1", f"{block}.bn1", planes, channels, 1)
            convolution(f"{block}.conv2", f"{block}.bn2", planes, planes, 3)
            convolution(f"{block}.conv3", f"{block}.bn3", 4 * planes, planes, 1)
            if n == 0:
                convolution(f"{block}.downsample.0", f"{block}.downsample.1", 4 * planes, channels, 1)
            channels = 4 * planes
    pool = "visual.attnpool"
    weights[f"{pool}.positional_embedding"] = rng.standard_normal((2, channels)).astype(np.float32)
    for part, out in (("q_proj", channels), ("k_proj", channels), ("v_proj", channels), ("c_proj", embed_dim)):
        weights[f"{pool}.{part}.weight"] = rng.standard_normal((out, channels)).astype(np.float32)
        weights[f"{pool}.{part}.bias"] = rng.standard_normal(out).astype(np.float32)
    return weights


@pytest.fixture
def weights() -> dict[str, np.ndarray]:
    return make_weights()


@pytest.fixture
def bpe(tmp_path: Path) -> Path:
    path = tmp_path / "merges.txt"
    path.write_text("header\n" + "\n".join(MERGES) + "\n")
    assert len(from_merges(MERGES).tokens) == VOCABULARY
    return path


@pytest.fixture
def source(tmp_path: Path, weights: dict[str, np.ndarray]) -> Path:
    path = tmp_path / "model.safetensors"
    save_file(weights, path)
    return path


def huggingface_folder(weights: dict[str, np.ndarray], folder: Path, activation: str = "quick_gelu") -> Path:
    folder.mkdir()
    save_file(to_huggingface(weights), folder / "model.safetensors")
    tower = {
        "hidden_size": 64,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 1,
        "hidden_act": activation,
    }
    config = {
        "model_type": "clip",
        "text_config": {**tower, "max_position_embeddings": 16, "vocab_size": VOCABULARY, "eos_token_id": 2},
        "vision_config": {**tower, "image_size": 32, "patch_size": 16},
    }
    (folder / "config.json").write_text(json.dumps(config))
    tokens = from_merges(MERGES).tokens
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    return folder


def convert(source: Path, out: Path, *options: object) -> subprocess.CompletedProcess[str]:
    """A source that keeps the converter busy for a minute is a failure: TimeoutExpired."""
    line = [str(part) for part in (sys.executable, "-m", "clipon_convert", source, out, "--quiet", *options)]
    return subprocess.run(line, cwd=HERE.parent, capture_output=True, text=True, check=False, timeout=60)


CONVERTER = "runpy.run_module('clipon_convert', run_name='__main__')"


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(line, cwd=HERE.parent, capture_output=True, text=True, check=False, timeout=60)


def nothing_left(folder: Path, before: set[str]) -> bool:
    return set(os.listdir(folder)) == before


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


def change(path: Path, changed: dict[str, object], *parents: str) -> None:
    """Sets keys of a JSON file's object, or of one below it; None takes a key out."""
    config = json.loads(path.read_text()) if path.exists() else {}
    at = config
    for parent in parents:
        at = at[parent]
    at.update(changed)
    for key in [key for key, value in changed.items() if value is None]:
        del at[key]
    path.write_text(json.dumps(config))
