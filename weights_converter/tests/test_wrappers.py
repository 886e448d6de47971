"""Names that a wrapper has lengthened, in either format, and the dictionaries that training checkpoints are."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_names import to_huggingface
from safetensors.numpy import save_file

from clipon_convert.errors import ConversionError
from clipon_convert.sources.weights_file import read_weights
from clipon_convert.sources.wrappers import unwrap
from conftest import assert_same_tensors, convert, huggingface_folder

PREFIXES = ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "clip.", "model.clip.net."]


def save(path: Path, weights: dict[str, np.ndarray], nest: str = "") -> Path:
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        state = {name: torch.from_numpy(values.copy()) for name, values in weights.items()}
        torch.save({nest: state, "optimizer": {"state": {}}} if nest else state, path)
    return path


def prefixed(prefix: str, weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {prefix + name: values for name, values in weights.items()}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", ["a.safetensors", "a.pt"])
def test_a_prefix_of_all_names_is_taken_off(
    tmp_path: Path, weights: dict[str, np.ndarray], prefix: str, name: str
) -> None:
    found = read_weights(save(tmp_path / name, prefixed(prefix, weights))).weights
    assert set(found) == set(weights)
    hugging_face = to_huggingface(weights)
    assert set(read_weights(save(tmp_path / name, prefixed(prefix, hugging_face))).weights) == set(hugging_face)


@pytest.mark.parametrize("nest", ["state_dict", "model_state_dict", "model"])
def test_dictionaries_of_training_checkpoints(
    converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path, nest: str
) -> None:
    source, out = save(tmp_path / "a.pt", prefixed("module._orig_mod.", weights), nest), tmp_path / "out.gguf"
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert_same_tensors(out, converted)


def test_the_shards_of_a_wrapped_model(converted: Path, weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder, out = huggingface_folder(weights, tmp_path / "hf"), tmp_path / "out.gguf"
    (folder / "model.safetensors").unlink()
    whole = list(prefixed("_orig_mod.", to_huggingface(weights)).items())
    for i in range(2):
        save_file(dict(whole[i::2]), folder / f"{i}.safetensors")
    index = {"weight_map": {name: f"{i % 2}.safetensors" for i, (name, _) in enumerate(whole)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    done = convert(folder, out)
    assert done.returncode == 0, done.stderr
    assert_same_tensors(out, converted)


def test_names_that_would_be_the_same(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    twice = {**prefixed("module.", weights), "visual.proj": weights["visual.proj"]}
    for name in ("a.safetensors", "a.pt"):
        source = save(tmp_path / name, twice)
        with pytest.raises(ConversionError) as refused:
            read_weights(source)
        assert str(refused.value) == f"{source}: expected either 'module.visual.proj' or 'visual.proj', found both"


def test_two_models_in_one_file(tmp_path: Path, weights: dict[str, np.ndarray]) -> None:
    source = save(tmp_path / "a.pt", {**prefixed("ema.", weights), **prefixed("model.", weights)})
    with pytest.raises(ConversionError) as refused:
        read_weights(source)
    assert str(refused.value) == f"{source}: expected one model, found 2 of them, under 'ema.', 'model.'"


def test_tens_of_thousands_of_prefixes(tmp_path: Path) -> None:
    """Not each of them compared with each name."""
    names = [f"{i}.{rest}" for i in range(30_000) for rest in ("token_embedding.weight", "visual.proj")]
    start = time.perf_counter()
    with pytest.raises(ConversionError, match="expected one model, found 30000 of them"):
        unwrap(dict.fromkeys(names, None), tmp_path)
    assert time.perf_counter() - start < 4


def test_a_model_beside_another_has_no_place_for_it(tmp_path: Path, bpe: Path, weights: dict[str, np.ndarray]) -> None:
    source = save(tmp_path / "a.safetensors", {**weights, **prefixed("teacher.", weights)})
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert "weight 'teacher." in done.stderr and "the architecture has no such weights" in done.stderr


@pytest.mark.parametrize("prefix", ["", "module."])
def test_text_towers_in_a_module_of_their_own(
    converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path, prefix: str
) -> None:
    """OpenCLIP's custom_text, where the tower is otherwise the same."""
    apart = {
        name if name.startswith("visual.") or name == "logit_scale" else f"text.{name}": values
        for name, values in weights.items()
    }
    source, out = save(tmp_path / "a.safetensors", prefixed(prefix, apart)), tmp_path / "out.gguf"
    model = {"quick_gelu": True, "custom_text": True, "text_cfg": {"heads": 1}, "vision_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(model))
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 0, done.stderr
    assert_same_tensors(out, converted)
    both = save(tmp_path / "a.safetensors", {**apart, "ln_final.bias": weights["ln_final.bias"]})
    done = convert(both, out, "--bpe", bpe)
    assert done.returncode == 1
    assert "expected either 'text.ln_final.bias' or 'ln_final.bias', found both" in done.stderr
