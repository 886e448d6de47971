"""clipon against implementations that share nothing with it: transformers' CLIPModel for ViT and text, a plain PyTorch
CLIP of our own (checked first against openai/CLIP's answers) for both kinds of image tower."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_names import to_huggingface

from clipon_convert.reference_model import ReferenceModel
from clipon_convert.sources import openai
from conftest import GOLDEN, worst_row

SECOND_IMPLEMENTATION = 3e-6  # PyTorch against PyTorch, other order of sums: 7e-7 was seen on ViT-B/32
CLIPON = 1e-5


def golden(arch: str) -> np.lib.npyio.NpzFile:
    return np.load(GOLDEN / "features" / f"{arch.replace('/', '-')}.npz")


@pytest.mark.parametrize("arch", ["tiny-ViT", "tiny-RN", "ViT-B/32", "RN50"])
def test_plain_pytorch(arch: str, made, pictures: list[Path], texts: list[str]) -> None:  # noqa: ANN001
    checkpoint, clipon = made(arch)
    reference = ReferenceModel(openai.read(checkpoint, None))
    expected = golden(arch)
    names = [str(name) for name in expected["image_names"]]
    pixels = np.stack([clipon.pixels(GOLDEN / "inputs/images" / name) for name in names])
    own_images = reference.encode_image(pixels)
    own_texts = reference.encode_text(expected["tokens"])
    assert worst_row(own_images, expected["image_features"]) < SECOND_IMPLEMENTATION
    assert worst_row(own_texts, expected["text_features"]) < SECOND_IMPLEMENTATION

    assert (
        worst_row(clipon.images(pictures), reference.encode_image(np.stack([clipon.pixels(p) for p in pictures])))
        < CLIPON
    )
    more = [*texts, "", "  ", "<|endoftext|> after the end", "über naïve 你好 🐈 " * 30]
    assert worst_row(clipon.texts(more), reference.encode_text(clipon.tokens(more))) < CLIPON


@pytest.mark.parametrize("arch", ["tiny-ViT", "ViT-B/32"])
def test_transformers(arch: str, made, pictures: list[Path], texts: list[str]) -> None:  # noqa: ANN001
    from transformers import CLIPConfig, CLIPModel

    checkpoint, clipon = made(arch)
    source = openai.read(checkpoint, None)
    text, vision = source.text.transformer, source.vision.transformer
    config = CLIPConfig(
        projection_dim=source.embed_dim,
        text_config={
            "hidden_size": text.width,
            "intermediate_size": text.feed_forward,
            "num_hidden_layers": text.layers,
            "num_attention_heads": text.heads,
            "projection_dim": source.embed_dim,
            "eos_token_id": 49407,
        },
        vision_config={
            "hidden_size": vision.width,
            "intermediate_size": vision.feed_forward,
            "num_hidden_layers": vision.layers,
            "num_attention_heads": vision.heads,
            "image_size": source.vision.image_size,
            "patch_size": source.vision.patch_size,
            "projection_dim": source.embed_dim,
        },
    )
    model = CLIPModel(config).eval()
    state = {name: torch.from_numpy(values.copy()) for name, values in to_huggingface(source.weights).items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.endswith("position_ids") for name in missing)
    pixels = np.stack([clipon.pixels(picture) for picture in pictures]).astype(np.float32) / 255
    pre = source.preprocessing
    normalised = ((pixels - np.float32(pre.mean)) / np.float32(pre.std)).transpose(0, 3, 1, 2)
    ids = torch.from_numpy(clipon.tokens(texts))
    with torch.no_grad():
        pooled = model.vision_model(pixel_values=torch.from_numpy(normalised.astype(np.float32).copy())).pooler_output
        image_features = model.visual_projection(pooled).numpy()
        text_features = model.text_projection(model.text_model(input_ids=ids).pooler_output).numpy()
    assert worst_row(clipon.images(pictures), image_features) < CLIPON
    assert worst_row(clipon.texts(texts), text_features) < CLIPON
