"""CLIP as a plain PyTorch module of each tower, for export and for PyTorch's own speed."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from clipon_convert.reference_model import ReferenceModel

HEAD_WIDTH = 64  # of every CLIP


class TorchClip(ReferenceModel):
    """The converter's reference with PyTorch's fused attention, which runtimes know how to fuse in their turn, and with
    sizes as plain numbers, which exporters need."""

    def layer_norm(self, name: str, x: Tensor, epsilon: float) -> Tensor:
        width = self.checkpoint.weights[name + ".weight"].shape[0]
        return F.layer_norm(x, (width,), self.w[name + ".weight"], self.w[name + ".bias"], epsilon)

    def attention(self, q: Tensor, k: Tensor, v: Tensor, heads: int, causal: bool) -> Tensor:
        def split(x: Tensor) -> Tensor:
            return x.view(x.shape[0], -1, heads, HEAD_WIDTH).transpose(1, 2)

        out = F.scaled_dot_product_attention(split(q), split(k), split(v), is_causal=causal)
        return out.transpose(1, 2).reshape(q.shape[0], -1, heads * HEAD_WIDTH)


class ImageTower(nn.Module):
    """pixels [n, 3, S, S] -> [n, embed_dim]"""

    def __init__(self, clip: TorchClip) -> None:
        super().__init__()
        self.clip, self.vision = clip, clip.checkpoint.vision
        self.is_vit = not hasattr(self.vision, "blocks")

    def forward(self, pixels: Tensor) -> Tensor:
        run = self.clip.vision_transformer if self.is_vit else self.clip.modified_resnet
        return run(pixels, self.vision)


class TextTower(nn.Module):
    """ids [n, tokens], 0 after the end -> [n, embed_dim]; at most 77 tokens, as many in an export as its sample has"""

    def __init__(self, clip: TorchClip) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, ids: Tensor) -> Tensor:
        w, config = self.clip.w, self.clip.checkpoint.text.transformer
        x = w["token_embedding.weight"][ids] + w["positional_embedding"][: ids.shape[1]]
        x = self.clip.transformer("transformer", x, config, causal=True)
        x = self.clip.layer_norm("ln_final", x, config.layer_norm_epsilon)
        end = ids.argmax(1).view(-1, 1, 1).expand(-1, 1, x.shape[2])  # the end token has the highest id
        return x.gather(1, end)[:, 0] @ w["text_projection"]
