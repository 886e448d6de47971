"""What a source does not say: told also under --quiet, said otherwise by --activation, refused where it is a guess."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import ALL_SAID, assert_same_tensors, convert, field, huggingface_folder, make_resnet_weights


def save_state(path: Path, weights: dict[str, np.ndarray], **more: object) -> Path:
    state = {name: torch.from_numpy(values.copy()) for name, values in weights.items()}
    torch.save({**more, "state_dict": state} if more else state, path)
    return path


def activations(out: Path) -> list[object]:
    return [field(out, f"clipon.{tower}.activation") for tower in ("text", "vision")]


def test_assumptions_are_told_also_under_quiet(source: Path, bpe: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    assert convert(source, out, "--bpe", bpe).stderr == (
        f"{source}: nothing says otherwise, so assumed: QuickGELU, attention heads of 64 channels, OpenAI's mean and "
        "std of the pixels (to say it: put OpenCLIP's open_clip_config.json beside it or give --activation "
        "quick_gelu|gelu)\n"
    )
    for key, assumed in (
        ("activation", "QuickGELU"),
        ("vision_heads", "attention heads of 64 channels"),
        ("image_std", "OpenAI's mean and std of the pixels"),
    ):
        config = {name: value for name, value in ALL_SAID.items() if name != key}
        source.with_name("config.json").write_text(json.dumps(config))
        assert f"so assumed: {assumed} (to say it: " in convert(source, out, "--bpe", bpe).stderr
    source.with_name("config.json").write_text(json.dumps(ALL_SAID))
    assert convert(source, out, "--bpe", bpe).stderr == ""


@pytest.mark.parametrize("given", ["quick_gelu", "gelu"])
def test_the_activation_that_is_given(source: Path, bpe: Path, tmp_path: Path, given: str) -> None:
    out = tmp_path / "out.gguf"
    done = convert(source, out, "--bpe", bpe, "--activation", given)
    assert done.returncode == 0
    assert activations(out) == [given] * 2
    assert field(out, "clip.use_gelu") is (given == "gelu")
    assert "QuickGELU" not in done.stderr
    assert "so assumed: attention heads of 64 channels" in done.stderr


def test_the_activation_of_a_resnets_texts(bpe: Path, tmp_path: Path) -> None:
    source, out = save_state(tmp_path / "a.pt", make_resnet_weights()), tmp_path / "out.gguf"
    assert convert(source, out, "--bpe", bpe, "--activation", "gelu").returncode == 0
    assert activations(out) == ["gelu", "relu"]


def test_an_activation_that_the_source_says_stays(weights: dict[str, np.ndarray], tmp_path: Path) -> None:
    folder, out = huggingface_folder(weights, tmp_path / "hf"), tmp_path / "out.gguf"
    assert convert(folder, out, "--activation", "quick_gelu").returncode == 0
    done = convert(folder, tmp_path / "refused.gguf", "--activation", "gelu")
    assert done.returncode == 1
    assert done.stderr == f"clipon_convert: --activation gelu: expected quick_gelu, as {folder} says\n"
    assert not (tmp_path / "refused.gguf").exists()


def test_openclips_training_checkpoints_are_no_guess(
    converted: Path, weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "run", tmp_path / "out.gguf"
    folder.mkdir()
    source = save_state(folder / "epoch_1.pt", weights, epoch=1, name="run", optimizer={})
    done = convert(source, out, "--bpe", bpe)
    assert done.returncode == 1
    assert done.stderr == (
        f"clipon_convert: {source}: a checkpoint of OpenCLIP's training, which does not say its activation: expected "
        "its open_clip_config.json beside it or --activation quick_gelu|gelu, found neither\n"
    )
    assert not out.exists()
    assert convert(source, out, "--bpe", bpe, "--activation", "gelu").returncode == 0
    assert activations(out) == ["gelu", "gelu"]
    assert_same_tensors(out, converted)
    (folder / "open_clip_config.json").write_text('{"text_cfg": {"heads": 1}, "quick_gelu": true}')
    assert convert(source, out, "--bpe", bpe).returncode == 0
    assert activations(out) == ["quick_gelu", "quick_gelu"]
