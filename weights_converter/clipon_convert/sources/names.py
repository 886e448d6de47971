"""From Hugging Face's and clip.cpp's names to OpenAI's."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from clipon_convert.checkpoint import Array
from clipon_convert.errors import ConversionError

# (pattern, OpenAI's name, transposed there); {0} is the block's number
Rules = Sequence[tuple[str, str, bool]]


def _blocks(source: str, target: str, parts: Sequence[tuple[str, str]]) -> list[tuple[str, str, bool]]:
    return [(source.replace("N", r"(\d+)") + re.escape(a), f"{target}.resblocks.{{0}}.{b}", False) for a, b in parts]


_HF_PARTS = [
    (f"{a}.{end}", f"{b}.{end}")
    for end in ("weight", "bias")
    for a, b in (
        ("self_attn.q_proj", "attn.q"),
        ("self_attn.k_proj", "attn.k"),
        ("self_attn.v_proj", "attn.v"),
        ("self_attn.out_proj", "attn.out_proj"),
        ("layer_norm1", "ln_1"),
        ("layer_norm2", "ln_2"),
        ("mlp.fc1", "mlp.c_fc"),
        ("mlp.fc2", "mlp.c_proj"),
    )
]
HUGGINGFACE: Rules = [
    (r"text_model\.embeddings\.token_embedding\.weight", "token_embedding.weight", False),
    (r"text_model\.embeddings\.position_embedding\.weight", "positional_embedding", False),
    *_blocks(r"text_model\.encoder\.layers\.N\.", "transformer", _HF_PARTS),
    (r"text_model\.final_layer_norm\.(weight|bias)", "ln_final.{0}", False),
    (r"text_projection\.weight", "text_projection", True),
    (r"vision_model\.embeddings\.class_embedding", "visual.class_embedding", False),
    (r"vision_model\.embeddings\.patch_embedding\.weight", "visual.conv1.weight", False),
    (r"vision_model\.embeddings\.position_embedding\.weight", "visual.positional_embedding", False),
    (r"vision_model\.pre_layrnorm\.(weight|bias)", "visual.ln_pre.{0}", False),
    *_blocks(r"vision_model\.encoder\.layers\.N\.", "visual.transformer", _HF_PARTS),
    (r"vision_model\.post_layernorm\.(weight|bias)", "visual.ln_post.{0}", False),
    (r"visual_projection\.weight", "visual.proj", True),
    (r"logit_scale", "logit_scale", False),
]

_CPP_PARTS = [
    (f"{a}.{end}", f"{b}.{end}")
    for end in ("weight", "bias")
    for a, b in (
        ("attn_q", "attn.q"),
        ("attn_k", "attn.k"),
        ("attn_v", "attn.v"),
        ("attn_out", "attn.out_proj"),
        ("ln1", "ln_1"),
        ("ln2", "ln_2"),
        ("ffn_down", "mlp.c_fc"),
        ("ffn_up", "mlp.c_proj"),
    )
]
CLIP_CPP: Rules = [
    (r"t\.token_embd\.weight", "token_embedding.weight", False),
    (r"t\.position_embd\.weight", "positional_embedding", False),
    *_blocks(r"t\.blk\.N\.", "transformer", _CPP_PARTS),
    (r"t\.post_ln\.(weight|bias)", "ln_final.{0}", False),
    (r"text_projection\.weight", "text_projection", True),
    (r"v\.class_embd", "visual.class_embedding", False),
    (r"v\.patch_embd\.weight", "visual.conv1.weight", False),
    (r"v\.patch_embd\.bias", "visual.conv1.bias", False),
    (r"v\.position_embd\.weight", "visual.positional_embedding", False),
    (r"v\.pre_ln\.(weight|bias)", "visual.ln_pre.{0}", False),
    *_blocks(r"v\.blk\.N\.", "visual.transformer", _CPP_PARTS),
    (r"v\.post_ln\.(weight|bias)", "visual.ln_post.{0}", False),
    (r"visual_projection\.weight", "visual.proj", True),
]


def _stack_attention(weights: dict[str, Array], source: dict[str, str]) -> None:
    """attn.q, attn.k and attn.v become OpenAI's attn.in_proj. `source`: what the source calls each."""
    for name in [n for n in weights if re.search(r"\.attn\.[qkv]\.(weight|bias)$", n)]:
        if name not in weights:
            continue  # stacked already
        stem, kind = name.removesuffix("weight").removesuffix("bias")[:-2], name.rsplit(".", 1)[1]
        parts = [f"{stem}{part}.{kind}" for part in "qkv"]
        shapes = [list(weights[part].shape) if part in weights else None for part in parts]
        if any(shape is None or shape != shapes[0] for shape in shapes):
            raise ConversionError(f"weight '{source[name]}': expected q, k and v of one shape, found {shapes}")
        weights[f"{stem}in_proj_{kind}"] = np.concatenate([weights.pop(part) for part in parts])


def openai_name(name: str, rules: Rules) -> tuple[str, bool] | None:
    """OpenAI's name and whether it is transposed there; None for a name that the rules don't know."""
    for pattern, target, transposed in rules:
        if match := re.fullmatch(pattern, name):
            return target.format(*match.groups()), transposed
    return None


def to_openai(weights: dict[str, Array], rules: Rules) -> dict[str, Array]:
    """Renames what the rules know; other names stay, and are refused later as weights without a place."""
    renamed: dict[str, Array] = {}
    source: dict[str, str] = {}
    for name, values in weights.items():
        new, transposed = openai_name(name, rules) or (name, False)
        renamed[new] = values.T if transposed else values
        source[new] = name
    _stack_attention(renamed, source)
    return renamed
