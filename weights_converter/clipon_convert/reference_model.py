"""CLIP in plain PyTorch, straight from a Checkpoint: what --verify and the parity tests compare clipon with.

Written after Radford et al. 2021, section 2.4, and openai/CLIP clip/model.py; torch's own operations throughout,
nothing shared with the C++ library.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clipon_convert.checkpoint import Checkpoint, ModifiedResNetConfig, TransformerConfig, VisionTransformerConfig


def activate(name: str, x: Tensor) -> Tensor:
    if name == "quick_gelu":
        return x * torch.sigmoid(1.702 * x)
    return F.gelu(x, approximate="tanh" if name == "gelu_tanh" else "none")


class ReferenceModel:
    def __init__(self, checkpoint: Checkpoint, dtype: torch.dtype = torch.float32) -> None:
        self.checkpoint, self.dtype = checkpoint, dtype
        self.w = {
            name: torch.from_numpy(np.ascontiguousarray(values)).to(dtype)
            for name, values in checkpoint.weights.items()
            if values.dtype.kind == "f"
        }

    def layer_norm(self, name: str, x: Tensor, epsilon: float) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], epsilon)

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.w[name + ".weight"], self.w[name + ".bias"])

    def attention(self, q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool) -> Tensor:
        """q, k, v [n, tokens, width] -> [n, tokens, width]"""

        def split(x: Tensor) -> Tensor:
            return x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)

        scores = split(q) @ split(k).transpose(-1, -2) * (q.shape[-1] // heads) ** -0.5
        if causal:
            scores = scores + torch.full(scores.shape[-2:], float("-inf"), dtype=scores.dtype).triu(1)
        return (scores.softmax(-1) @ split(v)).transpose(1, 2).reshape(q.shape)

    def transformer(self, prefix: str, x: Tensor, config: TransformerConfig, causal: bool) -> Tensor:
        for i in range(config.layers):
            block = f"{prefix}.resblocks.{i}"
            y = self.layer_norm(block + ".ln_1", x, config.layer_norm_epsilon)
            qkv = F.linear(y, self.w[block + ".attn.in_proj_weight"], self.w[block + ".attn.in_proj_bias"])
            x = x + self.linear(block + ".attn.out_proj", self.attention(*qkv.chunk(3, -1), config.heads, causal))
            y = self.layer_norm(block + ".ln_2", x, config.layer_norm_epsilon)
            y = activate(config.activation, self.linear(block + ".mlp.c_fc", y))
            x = x + self.linear(block + ".mlp.c_proj", y)
        return x

    def vision_transformer(self, x: Tensor, vision: VisionTransformerConfig) -> Tensor:
        config = vision.transformer
        x = F.conv2d(x, self.w["visual.conv1.weight"], self.w.get("visual.conv1.bias"), stride=vision.patch_size)
        x = x.flatten(2).transpose(1, 2)  # [n, patches, width]
        x = torch.cat([self.w["visual.class_embedding"].expand(x.shape[0], 1, -1), x], dim=1)
        x = self.layer_norm("visual.ln_pre", x + self.w["visual.positional_embedding"], config.layer_norm_epsilon)
        x = self.transformer("visual.transformer", x, config, causal=False)
        return self.layer_norm("visual.ln_post", x[:, 0], config.layer_norm_epsilon) @ self.w["visual.proj"]

    def convolution(self, conv: str, norm: str, x: Tensor, stride: int = 1) -> Tensor:
        weight = self.w[conv + ".weight"]
        x = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
        statistics = (self.w[norm + ".running_mean"], self.w[norm + ".running_var"])
        return F.batch_norm(x, *statistics, self.w[norm + ".weight"], self.w[norm + ".bias"])

    def bottleneck(self, block: str, x: Tensor, stride: int) -> Tensor:
        y = self.convolution(block + ".conv1", block + ".bn1", x).relu()
        y = self.convolution(block + ".conv2", block + ".bn2", y).relu()
        if stride > 1:
            x, y = F.avg_pool2d(x, stride), F.avg_pool2d(y, stride)
        y = self.convolution(block + ".conv3", block + ".bn3", y)
        if block + ".downsample.0.weight" in self.w:
            x = self.convolution(block + ".downsample.0", block + ".downsample.1", x)
        return (x + y).relu()

    def modified_resnet(self, x: Tensor, vision: ModifiedResNetConfig) -> Tensor:
        for k in (1, 2, 3):
            x = self.convolution(f"visual.conv{k}", f"visual.bn{k}", x, stride=2 if k == 1 else 1).relu()
        x = F.avg_pool2d(x, 2)
        for stage, blocks in enumerate(vision.blocks, 1):
            for n in range(blocks):
                x = self.bottleneck(f"visual.layer{stage}.{n}", x, stride=2 if n == 0 and stage > 1 else 1)
        pool = "visual.attnpool"
        x = x.flatten(2).transpose(1, 2)  # [n, positions, channels]
        x = torch.cat([x.mean(1, keepdim=True), x], dim=1) + self.w[pool + ".positional_embedding"]
        q = self.linear(pool + ".q_proj", x[:, :1])  # the mean's alone: what the other positions ask is of no use
        k, v = (self.linear(f"{pool}.{part}_proj", x) for part in "kv")
        return self.linear(pool + ".c_proj", self.attention(q, k, v, vision.heads, causal=False)[:, 0])

    @torch.no_grad()
    def encode_image(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [n, S, S, 3] after resize and crop -> [n, embed_dim], not normalised"""
        pre, vision = self.checkpoint.preprocessing, self.checkpoint.vision
        x = torch.from_numpy(pixels.astype(np.float32) / 255)
        x = ((x - torch.tensor(pre.mean)) / torch.tensor(pre.std)).permute(0, 3, 1, 2).to(self.dtype)
        if isinstance(vision, ModifiedResNetConfig):
            return self.modified_resnet(x, vision).float().numpy()
        return self.vision_transformer(x, vision).float().numpy()

    @torch.no_grad()
    def encode_text(self, tokens: np.ndarray) -> np.ndarray:
        """ids [n, context], 0 after the end -> [n, embed_dim], not normalised"""
        config = self.checkpoint.text.transformer
        ids = torch.from_numpy(tokens.astype(np.int64))
        x = self.w["token_embedding.weight"][ids] + self.w["positional_embedding"][: ids.shape[1]]
        x = self.layer_norm(
            "ln_final", self.transformer("transformer", x, config, causal=True), config.layer_norm_epsilon
        )
        ends = (ids == self.checkpoint.vocabulary.end_token_id).int().argmax(1)  # the first of each text
        pooled = x[torch.arange(len(ids)), ends]
        return (pooled @ self.w["text_projection"]).float().numpy()
