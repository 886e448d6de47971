"""Lines for the terminal; standard output may be closed, or a device that is full."""

from __future__ import annotations

import os
import sys

from clipon_convert.errors import ConversionError


def one_line(text: str) -> str:
    """What a terminal would not print, in names that come from files, by its numbers: control characters, no text."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def say(line: str) -> None:
    try:
        print(one_line(line), flush=True)
    except OSError as error:
        # what is left in the buffer would fail again when the program ends, and change its exit code
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ConversionError(f"standard output: expected to write '{line}', failed: {error.strerror}") from error
