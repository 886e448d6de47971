"""The files of a source, which come from anybody: a pipe keeps its reader waiting, a device like /dev/zero has no end.

Whatever opens a source's file asks here first.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

from clipon_convert.errors import ConversionError

MAX_TEXT_BYTES = 64 << 20  # a CLIP's tokenizer.json has 4 MB
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def regular_size(path: Path) -> int:
    """Bytes of a regular file or of a link to one, which Hugging Face's cache is made of; a ConversionError for all
    else. By its name, before it is opened: opening a pipe waits already."""
    try:
        status = path.stat()
    except OSError as error:
        raise ConversionError(f"{path}: expected a regular file, found none: {error.strerror}") from error
    if not stat.S_ISREG(status.st_mode):
        found = _KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise ConversionError(f"{path}: expected a regular file, found {found}")
    return status.st_size


def is_present(path: Path) -> bool:
    """Whether an optional file is there. One that can't be read is an error: passed over, the conversion would go on
    without what it says."""
    if not os.path.lexists(path):
        return False
    regular_size(path)
    return True


def read_bytes(path: Path, limit: int | None = None) -> bytes:
    """No more than the file's size: some of /proc's call themselves regular and empty, and have no end."""
    size = regular_size(path)
    if limit is not None and size > limit:
        raise ConversionError(f"{path}: expected at most {limit} bytes, found {size}")
    with path.open("rb") as file:
        return file.read(size)


def read_text(path: Path) -> str:
    return read_bytes(path, MAX_TEXT_BYTES).decode("utf-8")


def read_json(path: Path) -> Any:  # noqa: ANN401 (JSON is of many types)
    return json.loads(read_text(path))


def read_object(path: Path) -> dict[str, Any]:
    found = read_json(path)
    if not isinstance(found, dict):
        raise ConversionError(f"{path}: expected an object, found {found!r}")
    return found
