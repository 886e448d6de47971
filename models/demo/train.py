#!/usr/bin/env python3
"""Trains the small CLIP: train.py DATA OUT [--max-steps 300] (README.md has the whole recipe).

Symmetric cross-entropy over the cosines of a batch, learned temperature clipped at 100, AdamW without decay on gains,
biases and embeddings, cosine schedule with warm-up (Radford et al. 2021, sections 2.3 and 2.5). OUT gets
model.safetensors, config.json and the merges after each evaluation: what the converter reads.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from augment import MEAN, STD, augment
from captions import caption
from evaluate import evaluate
from model import CLIP, Sizes
from safetensors.torch import save_file
from tokenizer import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

TRAINED = ("noto", "twemoji", "fluent3d", "fluentflat", "fluentmodern", "emojione", "emojionebw", "notomono",
           "symbola", "openclipart")  # fmt: skip
HELD_OUT_VENDOR = "openmoji"
MERGES = 8000


class Pool:
    """All pictures of some vendors: RGBA bytes [n, 96, 96, 4] and what is known of each."""

    def __init__(self, data: Path, vendors: tuple[str, ...]) -> None:
        self.meta: list[dict] = []
        pictures = []
        for vendor in vendors:
            listing = json.loads((data / f"pairs/{vendor}.json").read_text())
            pictures.append(np.load(data / f"pairs/{vendor}_rgba.npy"))
            self.meta += [{**picture, "style": listing["style"]} for picture in listing["images"]]
        self.pictures = np.concatenate(pictures)
        numbers: dict[str, int] = {}
        keys = [m["concept"] if m["kind"] == "emoji" else m["name"] for m in self.meta]
        self.concept = torch.tensor([numbers.setdefault(key, len(numbers)) for key in keys])
        self.may_flip = torch.tensor([m["flip_ok"] for m in self.meta])
        self.is_line = torch.tensor([m["style"] == "line drawing" for m in self.meta])

    def trainable(self) -> list[int]:
        """Concepts kept from training stay out; so do flags as line drawings, which all look alike."""
        return [i for i, m in enumerate(self.meta) if not m["heldout"] and not (m["is_flag"] and self.is_line[i])]


def contrastive_loss(model: CLIP, pictures: Tensor, tokens: Tensor, concept: Tensor, keep: float, bf16: bool) -> Tensor:
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
        image, text = model.encode_image(pictures, keep), model.encode_text(tokens)
    image, text = F.normalize(image.float(), dim=-1), F.normalize(text.float(), dim=-1)
    logits = model.logit_scale.exp() * image @ text.T
    same = (concept[:, None] == concept[None]) | (tokens[:, None] == tokens[None]).all(-1)
    same.fill_diagonal_(False)  # the same concept or caption elsewhere in the batch is no negative
    logits = logits.masked_fill(same, -1e4)
    own = torch.arange(len(logits))
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def optimiser(model: CLIP, learning_rate: float, decay: float) -> torch.optim.AdamW:
    def decays(name: str, parameter: nn.Parameter) -> bool:
        return parameter.ndim >= 2 and "embedding" not in name

    named = list(model.named_parameters())
    groups = [
        {"params": [p for n, p in named if decays(n, p)], "weight_decay": decay},
        {"params": [p for n, p in named if not decays(n, p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), eps=1e-6, foreach=True)


def schedule(step: int, total: int, warmup: int) -> float:
    """Linear to 1, then half a cosine to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def save(model: CLIP, tokenizer: Tokenizer, sizes: Sizes, out: Path, steps: int, metrics: dict[str, float]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().float().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, out / "model.safetensors")
    config = {
        "model_type": "clip-openai",
        "activation": "quick_gelu",
        "embed_dim": sizes.embed,
        "image_resolution": sizes.image,
        "context_length": sizes.context,
        "vocab_size": tokenizer.size,
        "sot": tokenizer.start,
        "eot": tokenizer.end,
        "image_mean": MEAN.flatten().tolist(),
        "image_std": STD.flatten().tolist(),
        "sizes": asdict(sizes),
        "steps": steps,
        "metrics": metrics,
    }
    (out / "config.json").write_text(json.dumps(config, indent=1))
    lines = [f"bpe_simple_vocab_16e6: the first {len(tokenizer.merges)} merges", *map(" ".join, tokenizer.merges)]
    (out / f"bpe_merges_{len(tokenizer.merges)}.txt").write_text("\n".join(lines) + "\n")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=float, default=40)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--weight-decay", type=float, default=0.2)
    parser.add_argument("--warmup", type=float, default=0.05, help="share of all steps")
    parser.add_argument("--patch-drop", type=float, default=0.0, help="share of patches dropped in training")
    parser.add_argument("--drop-until", type=float, default=0.85, help="share of the steps with patches dropped")
    parser.add_argument("--bf16", action="store_true", help="autocast: faster on CPUs with AVX512-BF16 or AMX")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-steps", type=int, default=0, help="stop early; the schedule is by epochs")
    parser.add_argument("--max-minutes", type=float, default=0)
    parser.add_argument("--no-eval", action="store_true")
    return parser.parse_args()


def main() -> None:
    options = parse()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    sizes = Sizes()
    tokenizer = Tokenizer(options.data, MERGES, sizes.context)
    sizes.vocabulary = tokenizer.size
    model = CLIP(sizes)
    pool = Pool(options.data, TRAINED)
    test = None if options.no_eval else Pool(options.data, (HELD_OUT_VENDOR,))
    use = pool.trainable()
    steps_an_epoch = len(use) // options.batch
    total = int(options.epochs * steps_an_epoch)
    stop_at = min(total, options.max_steps or total)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters / 1e6:.2f} M parameters, {len(use)} of {len(pool.meta)} pictures, {total} steps", flush=True)
    adam = optimiser(model, options.learning_rate, options.weight_decay)
    start, losses, order = time.time(), [], []
    for step in range(stop_at):
        if len(order) < options.batch:
            order = rng.sample(use, len(use))
        ids, order = order[: options.batch], order[options.batch :]
        pictures = augment(pool.pictures[ids], sizes.image, pool.may_flip[ids], pool.is_line[ids])
        tokens = tokenizer([caption(pool.meta[i], rng) for i in ids])
        keep = 1 - options.patch_drop if step < options.drop_until * total else 1.0
        for group in adam.param_groups:
            group["lr"] = options.learning_rate * schedule(step, total, max(1, int(options.warmup * total)))
        loss = contrastive_loss(model, pictures, tokens, pool.concept[ids], keep, options.bf16)
        adam.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(100))
        losses.append(loss.item())
        minutes = (time.time() - start) / 60
        if (step + 1) % 10 == 0:
            mean, scale = sum(losses[-10:]) / 10, model.logit_scale.exp().item()
            print(f"step {step + 1}/{total} loss {mean:.3f} scale {scale:.1f} {minutes:.1f} min", flush=True)
        last = step + 1 == stop_at or (options.max_minutes > 0 and minutes > options.max_minutes)
        if last or (step + 1) % steps_an_epoch == 0:
            metrics = evaluate(model, tokenizer, test, sizes.image) if test is not None else {}
            if metrics:
                print(json.dumps({"step": step + 1, **metrics}), flush=True)
            save(model, tokenizer, sizes, options.out, step + 1, metrics)
        if last:
            break


if __name__ == "__main__":
    main()
