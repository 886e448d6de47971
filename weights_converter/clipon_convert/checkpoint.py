"""What every source is read into: weights under OpenAI's parameter names, the architecture, the vocabulary."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]  # float32 or float16; float32 where the source had bfloat16 or float64

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass
class TransformerConfig:
    width: int
    layers: int
    heads: int
    feed_forward: int
    layer_norm_epsilon: float = 1e-5
    activation: str = "quick_gelu"


@dataclass
class TextConfig:
    transformer: TransformerConfig
    context_length: int
    vocabulary: int


@dataclass
class VisionTransformerConfig:
    transformer: TransformerConfig
    image_size: int
    patch_size: int


@dataclass
class ModifiedResNetConfig:
    blocks: tuple[int, int, int, int]
    width: int
    heads: int
    image_size: int

    @property
    def features(self) -> int:
        """Channels of the last map: four stages double the stem's width thrice, and a bottleneck expands by 4."""
        return 32 * self.width


@dataclass
class Preprocessing:
    mean: tuple[float, ...] = OPENAI_MEAN
    std: tuple[float, ...] = OPENAI_STD
    resize_mode: str = "shortest"
    interpolation: str = "bicubic"


@dataclass
class Vocabulary:
    tokens: list[str]
    merges: list[str]
    start_token_id: int
    end_token_id: int
    cleaning: str = "ftfy"


@dataclass
class Checkpoint:
    weights: dict[str, Array]  # OpenAI's names: visual.conv1.weight, transformer.resblocks.0.attn.in_proj_weight, ...
    embed_dim: int
    text: TextConfig
    vision: VisionTransformerConfig | ModifiedResNetConfig
    stored_type: str = "f32"  # of most weights in the source: f32, f16 or bf16
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    vocabulary: Vocabulary | None = None
    name: str = ""
    description: dict[str, str] = field(default_factory=dict)  # general.license, clipon.training_data, ...
    assumed: dict[str, str] = field(default_factory=dict)  # "activation": "QuickGELU"; what the source does not say
    is_training_checkpoint: bool = False  # OpenCLIP's, where QuickGELU can't be assumed
