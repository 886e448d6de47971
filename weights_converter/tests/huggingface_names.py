"""OpenAI's names to transformers'; also for tests/parity.  Apart from the converter, whose opposite way it checks."""

from __future__ import annotations

import numpy as np


def to_huggingface(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Contiguous arrays, as safetensors wants them."""
    plain = {
        "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
        "positional_embedding": "text_model.embeddings.position_embedding.weight",
        "visual.class_embedding": "vision_model.embeddings.class_embedding",
        "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
        "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
        "logit_scale": "logit_scale",
    }
    replaced = [
        ("visual.transformer.resblocks", "vision_model.encoder.layers"),
        ("transformer.resblocks", "text_model.encoder.layers"),
        ("visual.ln_pre", "vision_model.pre_layrnorm"),
        ("visual.ln_post", "vision_model.post_layernorm"),
        ("ln_final", "text_model.final_layer_norm"),
        ("ln_1", "layer_norm1"),
        ("ln_2", "layer_norm2"),
        ("mlp.c_fc", "mlp.fc1"),
        ("mlp.c_proj", "mlp.fc2"),
        ("attn.out_proj", "self_attn.out_proj"),
    ]
    out = {}
    for name, values in weights.items():
        if name in plain:
            out[plain[name]] = values
        elif name == "visual.proj":
            out["visual_projection.weight"] = np.ascontiguousarray(values.T)
        elif name == "text_projection":
            out["text_projection.weight"] = np.ascontiguousarray(values.T)
        else:
            for old, new in replaced:
                name = name.replace(old, new)
            if "attn.in_proj" in name:
                stem, kind = name.replace("attn.in_proj_", "self_attn. ").split(" ")
                for letter, rows in zip("qkv", np.split(values, 3), strict=True):
                    out[f"{stem}{letter}_proj.{kind}"] = rows.copy()
            else:
                out[name] = values
    return out
