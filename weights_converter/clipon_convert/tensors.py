"""From OpenAI's parameter names to the tensors of the model file, in file order (docs/model_format.md)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from clipon_convert.checkpoint import Array, Checkpoint, ModifiedResNetConfig, TransformerConfig
from clipon_convert.errors import ConversionError

BATCH_NORM_EPSILON = 1e-5  # torch.nn.BatchNorm2d's default, which OpenAI's ResNets use


@dataclass
class Tensor:
    name: str
    data: Array  # float32 or float16
    is_matrix: bool  # stored in --dtype; else always float32


class TensorList:
    """Takes weights out of a checkpoint one by one, checking shapes; what nobody took is an error at the end."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.taken: set[str] = set()

    def take(self, name: str, *shape: int) -> Array:
        weights = self.checkpoint.weights
        if name not in weights:
            raise ConversionError(f"weight '{name}': expected it with shape {list(shape)}, found none")
        found = weights[name]
        if found.shape != shape:
            raise ConversionError(f"weight '{name}': expected shape {list(shape)}, found {list(found.shape)}")
        if found.dtype.kind != "f":  # a quantised checkpoint's integers mean nothing without its scales
            raise ConversionError(f"weight '{name}': expected floating-point numbers, found {found.dtype}")
        self.taken.add(name)
        return found

    def __iter__(self) -> Iterator[Tensor]:
        yield from self.text_tower()
        if isinstance(self.checkpoint.vision, ModifiedResNetConfig):
            yield from self.modified_resnet(self.checkpoint.vision)
        else:
            yield from self.vision_transformer()
        # what OpenAI's archives carry besides weights, and what a folded BatchNorm no longer needs
        unused = {"input_resolution", "context_length", "vocab_size", "logit_scale", "logit_bias", "attn_mask"}
        left = [n for n in self.checkpoint.weights if n not in self.taken | unused and "num_batches_tracked" not in n]
        if left:
            more = f" and {len(left) - 1} more" if len(left) > 1 else ""
            raise ConversionError(
                f"weight '{left[0]}'{more}: the architecture has no such weights, so the result would not be this model"
            )

    def layer_norm(self, target: str, source: str, width: int) -> Iterator[Tensor]:
        yield Tensor(target + ".weight", self.take(source + ".weight", width), False)
        yield Tensor(target + ".bias", self.take(source + ".bias", width), False)

    def linear(self, target: str, source: str, outputs: int, inputs: int) -> Iterator[Tensor]:
        yield Tensor(target + ".weight", self.take(source + ".weight", outputs, inputs), True)
        yield Tensor(target + ".bias", self.take(source + ".bias", outputs), False)

    def blocks(self, tower: str, source: str, config: TransformerConfig) -> Iterator[Tensor]:
        width = config.width
        for i in range(config.layers):
            target, block = f"{tower}.blk.{i}", f"{source}.resblocks.{i}"
            yield from self.layer_norm(target + ".ln1", block + ".ln_1", width)
            weight = self.take(block + ".attn.in_proj_weight", 3 * width, width)
            bias = self.take(block + ".attn.in_proj_bias", 3 * width)
            for k, part in enumerate("qkv"):
                rows = slice(k * width, (k + 1) * width)
                yield Tensor(f"{target}.attn_{part}.weight", weight[rows], True)
                yield Tensor(f"{target}.attn_{part}.bias", bias[rows], False)
            yield from self.linear(target + ".attn_out", block + ".attn.out_proj", width, width)
            yield from self.layer_norm(target + ".ln2", block + ".ln_2", width)
            yield from self.linear(target + ".ffn_down", block + ".mlp.c_fc", config.feed_forward, width)
            yield from self.linear(target + ".ffn_up", block + ".mlp.c_proj", width, config.feed_forward)

    def text_tower(self) -> Iterator[Tensor]:
        text, embed_dim = self.checkpoint.text, self.checkpoint.embed_dim
        width = text.transformer.width
        yield Tensor("t.token_embd.weight", self.take("token_embedding.weight", text.vocabulary, width), True)
        yield Tensor("t.position_embd.weight", self.take("positional_embedding", text.context_length, width), False)
        yield from self.blocks("t", "transformer", text.transformer)
        yield from self.layer_norm("t.post_ln", "ln_final", width)
        yield Tensor("text_projection.weight", self.take("text_projection", width, embed_dim).T, True)

    def vision_transformer(self) -> Iterator[Tensor]:
        vision = self.checkpoint.vision
        assert not isinstance(vision, ModifiedResNetConfig)
        width, patch = vision.transformer.width, vision.patch_size
        positions = (vision.image_size // patch) ** 2 + 1
        yield Tensor("v.class_embd", self.take("visual.class_embedding", width), False)
        yield Tensor("v.patch_embd.weight", self.take("visual.conv1.weight", width, 3, patch, patch), True)
        if "visual.conv1.bias" in self.checkpoint.weights:
            yield Tensor("v.patch_embd.bias", self.take("visual.conv1.bias", width), False)
        yield Tensor("v.position_embd.weight", self.take("visual.positional_embedding", positions, width), False)
        yield from self.layer_norm("v.pre_ln", "visual.ln_pre", width)
        yield from self.blocks("v", "visual.transformer", vision.transformer)
        yield from self.layer_norm("v.post_ln", "visual.ln_post", width)
        yield Tensor("visual_projection.weight", self.take("visual.proj", width, self.checkpoint.embed_dim).T, True)

    def convolution(self, target: str, conv: str, norm: str, out: int, channels: int, kernel: int) -> Iterator[Tensor]:
        """A convolution with the BatchNorm after it: y = (w x - mean) gain / sqrt(var + eps) + bias."""
        weight = self.take(conv + ".weight", out, channels, kernel, kernel).astype(np.float64)
        parts = ("weight", "bias", "running_mean", "running_var")
        gain, bias, mean, variance = (self.take(f"{norm}.{part}", out).astype(np.float64) for part in parts)
        if np.any(variance < 0):
            raise ConversionError(f"weight '{norm}.running_var': expected no negative variance")
        scale = gain / np.sqrt(variance + BATCH_NORM_EPSILON)
        yield Tensor(target + ".weight", (weight * scale[:, None, None, None]).astype(np.float32), True)
        yield Tensor(target + ".bias", (bias - mean * scale).astype(np.float32), False)

    def modified_resnet(self, vision: ModifiedResNetConfig) -> Iterator[Tensor]:
        width = vision.width
        stem = ((width // 2, 3), (width // 2, width // 2), (width, width // 2))
        for k, (out, channels) in enumerate(stem):
            yield from self.convolution(f"v.stem.{k}", f"visual.conv{k + 1}", f"visual.bn{k + 1}", out, channels, 3)
        channels = width
        for stage, blocks in enumerate(vision.blocks):
            planes = width << stage
            for n in range(blocks):
                target, block = f"v.stage.{stage}.{n}", f"visual.layer{stage + 1}.{n}"
                sizes = ((planes, channels, 1), (planes, planes, 3), (4 * planes, planes, 1))
                for k, (out, inputs, kernel) in enumerate(sizes, 1):
                    names = (f"{target}.conv{k}", f"{block}.conv{k}", f"{block}.bn{k}")
                    yield from self.convolution(*names, out, inputs, kernel)
                if n == 0:
                    names = (f"{target}.downsample", f"{block}.downsample.0", f"{block}.downsample.1")
                    yield from self.convolution(*names, 4 * planes, channels, 1)
                channels = 4 * planes
        positions = (vision.image_size // 32) ** 2 + 1
        embedding = self.take("visual.attnpool.positional_embedding", positions, channels)
        yield Tensor("v.attnpool.position_embd.weight", embedding, False)
        for part in "qkv":
            yield from self.linear(f"v.attnpool.{part}", f"visual.attnpool.{part}_proj", channels, channels)
        yield from self.linear("visual_projection", "visual.attnpool.c_proj", self.checkpoint.embed_dim, channels)
