"""Turns CLIP checkpoints into clipon's model files (GGUF, see docs/model_format.md)."""

__version__ = "0.1.0"
