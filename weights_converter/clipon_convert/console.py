"""Lines for standard output, which may be closed, or a device that is full."""

from __future__ import annotations

import os
import sys

from clipon_convert.errors import ConversionError


def say(line: str) -> None:
    """Names of files may have bytes that are no text; shown by their numbers."""
    try:
        print(line.encode("utf-8", "backslashreplace").decode(), flush=True)
    except OSError as error:
        # what is left in the buffer would fail again when the program ends, and change its exit code
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise ConversionError(f"standard output: expected to write '{line}', failed: {error.strerror}") from error
