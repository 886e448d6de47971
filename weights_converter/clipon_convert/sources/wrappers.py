"""Names of weights that a wrapper has lengthened: torch.compile's _orig_mod., DistributedDataParallel's module.,
Lightning's model., or whatever the attribute is called that holds the CLIP."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

from clipon_convert.errors import ConversionError

Value = TypeVar("Value")
# A text tower's first weight under OpenAI's names, OpenCLIP's with custom_text, and Hugging Face's
_TEXT = ("token_embedding.weight", "text.token_embedding.weight", "text_model.embeddings.token_embedding.weight")
_IMAGE = re.compile(r"((?:[^.]*\.)*?)(?:visual|vision_model)\.")  # what precedes an image tower's weights
_CUSTOM_TEXT = "text."  # OpenCLIP's CustomTextCLIP has its text tower, otherwise the same, in a module of its own


def _prefixes(weights: dict[str, Value]) -> list[str]:
    """What precedes the names of both towers of a CLIP."""
    texts = {name.removesuffix(text) for name in weights for text in _TEXT if f".{name}".endswith(f".{text}")}
    images = {match.group(1) for name in weights if (match := _IMAGE.match(name))}
    return sorted(texts & images)


def _without(prefix: str, weights: dict[str, Value], path: Path) -> dict[str, Value]:
    """Names that begin otherwise stay, and are refused later where the architecture has no place for them."""
    shorter: dict[str, Value] = {}
    for name, value in weights.items():
        short = name.removeprefix(prefix)
        if short in shorter:
            raise ConversionError(f"{path}: expected either '{prefix}{short}' or '{short}', found both")
        shorter[short] = value
    return shorter


def unwrap(weights: dict[str, Value], path: Path) -> dict[str, Value]:
    """The weights of the one CLIP among them, under its own names; as they are where there is none."""
    prefixes = _prefixes(weights)
    if prefixes and "" not in prefixes:
        if len(prefixes) > 1:
            some = ", ".join(map(repr, prefixes[:3]))
            raise ConversionError(f"{path}: expected one model, found {len(prefixes)} of them, under {some}")
        weights = _without(prefixes[0], weights, path)
    if _CUSTOM_TEXT + _TEXT[0] in weights:
        weights = _without(_CUSTOM_TEXT, weights, path)
    return weights
