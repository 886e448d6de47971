"""Mean and standard deviation of the pixels, as a config gives them."""

from __future__ import annotations

from clipon_convert.errors import ConversionError


def rgb(where: str, value: object) -> tuple[float, ...]:
    """How many and how large they may be is limits.py's. One number for all channels is a source's shorthand that no
    published CLIP uses."""
    if not isinstance(value, list | tuple):
        raise ConversionError(f"{where}: expected 3 numbers, found {value!r}")
    return tuple(value)
