"""Zero-shot accuracy on a vendor that is never trained on."""

from __future__ import annotations

from typing import Any

import torch
from augment import on_white
from model import CLIP
from torch import Tensor
from torch.nn import functional as F

TEMPLATES = ("{}", "a picture of {}", "an emoji of {}")
WAYS = 100  # labels of the smaller task
DRAWS = 10  # label sets a picture is tried against


def embed_pictures(model: CLIP, rgba: Any, size: int) -> Tensor:  # noqa: ANN401 (a numpy array or memory map)
    parts = [model.encode_image(on_white(rgba[i : i + 256], size)) for i in range(0, len(rgba), 256)]
    return F.normalize(torch.cat(parts).float(), dim=-1)


def embed_names(model: CLIP, tokenizer: Any, names: list[str]) -> Tensor:  # noqa: ANN401
    total: Tensor | float = 0.0
    for template in TEMPLATES:
        texts = [template.format(name) for name in names]
        parts = [model.encode_text(tokenizer(texts[i : i + 512])) for i in range(0, len(texts), 512)]
        total = total + F.normalize(torch.cat(parts).float(), dim=-1)
    return F.normalize(total, dim=-1)


@torch.no_grad()
def evaluate(model: CLIP, tokenizer: Any, pool: Any, size: int) -> dict[str, float]:  # noqa: ANN401
    """Top-1 and top-5 among all labels, and among 100 of the same pool, for seen and held-out concepts."""
    model.eval()
    generator = torch.Generator().manual_seed(0)
    chosen = [i for i, meta in enumerate(pool.meta) if not meta["is_flag"]]
    names = [pool.meta[i]["name"] for i in chosen]
    held_out = torch.tensor([pool.meta[i]["heldout"] for i in chosen])
    cosines = embed_pictures(model, pool.pictures[chosen], size) @ embed_names(model, tokenizer, names).T
    own = cosines.diag()
    rank = (cosines > own[:, None]).sum(1)
    out = {}
    for key, group in (("all", torch.ones_like(held_out)), ("seen", ~held_out), ("held_out", held_out)):
        out[f"{len(names)}_labels_{key}_top1"] = (rank[group] < 1).float().mean().item()
        out[f"{len(names)}_labels_{key}_top5"] = (rank[group] < 5).float().mean().item()
        if key == "all":
            continue
        positions = group.nonzero()[:, 0]
        right = 0.0
        for _ in range(DRAWS):
            order = torch.rand(len(positions), len(positions), generator=generator)
            order.fill_diagonal_(9)  # the true label is never among the others
            others = positions[order.topk(min(WAYS - 1, len(positions) - 1), 1, largest=False).indices]
            better = (cosines[positions[:, None], others] > own[positions][:, None]).sum(1)
            right += (better < 1).float().mean().item() / DRAWS
        out[f"{WAYS}_labels_{key}_top1"] = right
    model.train()
    return {key: round(value, 4) for key, value in out.items()}
