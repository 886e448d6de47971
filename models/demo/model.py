"""OpenAI's CLIP (ViT) in PyTorch, with their parameter names and initialisation (openai/CLIP clip/model.py)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass
class Sizes:
    image: int = 64
    patch: int = 8
    width: int = 192
    layers: int = 6
    context: int = 32
    text_width: int = 192
    text_layers: int = 4
    embed: int = 192
    vocabulary: int = 0


class Attention(nn.Module):
    """The parameters of nn.MultiheadAttention."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // 64
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        n, tokens, width = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.view(n, tokens, 3, self.heads, 64).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self.out_proj(attended.transpose(1, 2).reshape(n, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc = nn.Linear(width, 4 * width)
        self.c_proj = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.c_fc(x)
        return self.c_proj(hidden * torch.sigmoid(1.702 * hidden))  # QuickGELU


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn, self.ln_1 = Attention(width), nn.LayerNorm(width)
        self.mlp, self.ln_2 = Mlp(width), nn.LayerNorm(width)

    def forward(self, x: Tensor, causal: bool) -> Tensor:
        x = x + self.attn(self.ln_1(x), causal)
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(Block(width) for _ in range(layers))
        projection = width**-0.5 * (2 * layers) ** -0.5
        for block in self.resblocks:
            nn.init.normal_(block.attn.in_proj_weight, std=width**-0.5)
            nn.init.normal_(block.attn.out_proj.weight, std=projection)
            nn.init.zeros_(block.attn.out_proj.bias)
            nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.mlp.c_proj.weight, std=projection)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        for block in self.resblocks:
            x = block(x, causal)
        return x


class VisionTransformer(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width, scale = sizes.width, sizes.width**-0.5
        self.conv1 = nn.Conv2d(3, width, sizes.patch, sizes.patch, bias=False)
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn((sizes.image // sizes.patch) ** 2 + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, sizes.layers)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(scale * torch.randn(width, sizes.embed))

    def forward(self, pictures: Tensor, keep: float = 1.0) -> Tensor:
        """keep: the share of patches that are looked at (below 1 in training only)"""
        x = self.conv1(pictures).flatten(2).transpose(1, 2) + self.positional_embedding[1:]
        if keep < 1:
            kept = max(1, int(x.shape[1] * keep))
            chosen = torch.rand(x.shape[:2]).topk(kept, 1).indices
            x = x.gather(1, chosen[..., None].expand(-1, -1, x.shape[2]))
        first = (self.class_embedding + self.positional_embedding[0]).expand(x.shape[0], 1, -1)
        x = self.transformer(self.ln_pre(torch.cat([first, x.to(first.dtype)], 1)))
        return self.ln_post(x[:, 0]) @ self.proj


class CLIP(nn.Module):
    def __init__(self, sizes: Sizes) -> None:
        super().__init__()
        width = sizes.text_width
        self.visual = VisionTransformer(sizes)
        self.transformer = Transformer(width, sizes.text_layers)
        self.token_embedding = nn.Embedding(sizes.vocabulary, width)
        self.positional_embedding = nn.Parameter(0.01 * torch.randn(sizes.context, width))
        self.ln_final = nn.LayerNorm(width)
        self.text_projection = nn.Parameter(width**-0.5 * torch.randn(width, sizes.embed))
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        nn.init.normal_(self.token_embedding.weight, std=0.02)

    def encode_image(self, pictures: Tensor, keep: float = 1.0) -> Tensor:
        return self.visual(pictures, keep)

    def encode_text(self, tokens: Tensor) -> Tensor:
        end = tokens.argmax(-1)
        longest = int(end.max()) + 1  # causal: the padding after the end changes nothing
        x = self.token_embedding(tokens[:, :longest]) + self.positional_embedding[:longest]
        x = self.ln_final(self.transformer(x, causal=True))
        return x[torch.arange(len(tokens)), end] @ self.text_projection
