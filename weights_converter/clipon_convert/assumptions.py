"""What a source does not say, what is assumed instead, and how its user says otherwise."""

from __future__ import annotations

import sys
from pathlib import Path

from clipon_convert.checkpoint import Checkpoint, ModifiedResNetConfig, TransformerConfig
from clipon_convert.console import one_line
from clipon_convert.errors import ConversionError

GIVEN = ("quick_gelu", "gelu")  # what --activation may say


def _transformers(checkpoint: Checkpoint) -> list[TransformerConfig]:
    vision = checkpoint.vision
    text = checkpoint.text.transformer
    return [text] if isinstance(vision, ModifiedResNetConfig) else [text, vision.transformer]


def settle_activation(checkpoint: Checkpoint, given: str | None, source: Path) -> None:
    """`given` by --activation, where the source does not say it. OpenCLIP's models are trained with either, and a
    checkpoint of its training says neither: the wrong one gives embeddings that look sound."""
    if given is None:
        if checkpoint.is_training_checkpoint and "activation" in checkpoint.assumed:
            raise ConversionError(
                f"{source}: a checkpoint of OpenCLIP's training, which does not say its activation: expected its "
                f"open_clip_config.json beside it or --activation {'|'.join(GIVEN)}, found neither"
            )
        return
    for transformer in _transformers(checkpoint):
        if "activation" not in checkpoint.assumed and transformer.activation != given:
            raise ConversionError(f"--activation {given}: expected {transformer.activation}, as {source} says")
        transformer.activation = given
    checkpoint.assumed.pop("activation", None)


def warn_of_assumptions(checkpoint: Checkpoint, source: Path) -> None:
    if not checkpoint.assumed:
        return
    assumed = ", ".join(checkpoint.assumed.values())
    otherwise = "put OpenCLIP's open_clip_config.json beside it"
    if "activation" in checkpoint.assumed:
        otherwise += f" or give --activation {'|'.join(GIVEN)}"
    warning = f"{source}: nothing says otherwise, so assumed: {assumed} (to say it: {otherwise})"
    print(one_line(warning), file=sys.stderr)
