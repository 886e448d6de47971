"""Weights of a PyTorch file, without PyTorch and without running anything that the file says.

Both torch.save and torch.jit.save write a ZIP: data.pkl, a pickle that describes the objects, and data/N, the bytes
of each storage. The pickle is read by an unpickler that knows the few names below and refuses every other; the script
modules of a TorchScript archive become inert objects whose attributes are looked through for tensors.
"""

from __future__ import annotations

import math
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from clipon_convert.checkpoint import Array
from clipon_convert.dtypes import from_bf16
from clipon_convert.errors import ConversionError
from clipon_convert.files import regular_size

MAX_PICKLE_BYTES = 64 << 20  # OpenAI's largest data.pkl has under 1 MB


@dataclass(frozen=True)
class StorageType:
    numpy: str
    stored: str  # what --dtype takes by default; "" for integers


_STORAGES = {
    "FloatStorage": StorageType("<f4", "f32"),
    "HalfStorage": StorageType("<f2", "f16"),
    "BFloat16Storage": StorageType("<u2", "bf16"),
    "DoubleStorage": StorageType("<f8", "f32"),
    "LongStorage": StorageType("<i8", ""),
    "IntStorage": StorageType("<i4", ""),
    "ShortStorage": StorageType("<i2", ""),
    "CharStorage": StorageType("<i1", ""),
    "ByteStorage": StorageType("<u1", ""),
    "BoolStorage": StorageType("|b1", ""),
}


@dataclass(frozen=True)
class Storage:
    key: str
    type: StorageType
    elements: int


@dataclass(frozen=True)
class TensorReference:
    """Where a tensor lies; its bytes are read when somebody asks for them."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class ScriptObject:
    """A module of a TorchScript archive: attributes, no behaviour."""

    def __init__(self, *_: object) -> None:
        self.attributes: dict[str, Any] = {}


def _tensor(storage: Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> object:
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or not all(isinstance(n, int) and 0 <= n < 2**40 for n in numbers):
        raise ConversionError("data.pkl: expected a tensor of a storage, with offset, shape and strides")
    if len(shape) != len(strides) or len(shape) > 8:
        raise ConversionError(f"data.pkl: a tensor has {len(shape)} sizes and {len(strides)} strides")
    if math.prod(shape) > storage.elements:  # strides of 0 would make terabytes of one number
        raise ConversionError(f"data.pkl: a tensor of shape {list(shape)} has more elements than its storage")
    return TensorReference(storage, offset, tuple(shape), tuple(strides))


def _parameter(data: object, *_: object) -> object:
    return data


def _first(value: object, *_: object) -> object:
    return value


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch.jit._pickle", "build_intlist"): _first,
    ("torch.jit._pickle", "build_boollist"): _first,
    ("torch.jit._pickle", "build_doublelist"): _first,
    ("torch.jit._pickle", "build_tensorlist"): _first,
    ("torch.jit._pickle", "restore_type_tag"): _first,
}


class RestrictedUnpickler(pickle._Unpickler):
    """Only the names above, storages and script modules exist.

    The one written in Python: that in C makes room for whatever memo index a pickle names, up to 64 GB.
    """

    dispatch: ClassVar = dict(pickle._Unpickler.dispatch)

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 (the base class's signature)
        if (module, name) in _ALLOWED:
            return _ALLOWED[module, name]
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module.startswith("__torch__"):
            return ScriptObject
        raise ConversionError(
            f"data.pkl: it wants to call {module}.{name}, which weights have no need of; "
            "save the model's state_dict alone, or as safetensors"
        )

    def load_build(self) -> None:
        """Sets an object's state: that of script modules; pickle's own would let a file overwrite any attribute, a
        checked tensor's offset for one."""
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, ScriptObject):
            target.attributes = state if isinstance(state, dict) else {}
        elif not isinstance(target, OrderedDict):  # whose state is torch's _metadata: of no use here
            raise ConversionError(f"data.pkl: it wants to change a {type(target).__name__}")

    dispatch[pickle.BUILD[0]] = load_build

    def persistent_load(self, pid: Any) -> Storage:  # noqa: ANN401
        if not (isinstance(pid, tuple) and len(pid) == 5 and pid[0] == "storage" and isinstance(pid[1], StorageType)):
            raise ConversionError("data.pkl: expected a reference to a storage")
        return Storage(str(pid[2]), pid[1], int(pid[4]))


class Archive:
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ConversionError(f"{path}: expected one data.pkl in the archive, found {len(pickles)}")
        self.prefix = pickles[0].removesuffix("data.pkl")
        self.storages: dict[str, Array] = {}
        self.bytes_left = path.stat().st_size  # members may overlap, and so hold more than the file
        order = self.prefix + "byteorder"
        if order in archive.namelist() and self.member(order, 16).read() != b"little":
            raise ConversionError(f"{path}: expected little-endian weights")

    def member(self, name: str, limit: int) -> IO[bytes]:
        """A member that is stored as it is and not larger than `limit`: no compression bombs."""
        try:
            info = self.archive.getinfo(name)
        except KeyError as error:
            raise ConversionError(f"{self.path}: expected '{name}' in the archive, found none") from error
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > limit:
            raise ConversionError(f"{self.path}: '{name}': expected an uncompressed member of at most {limit} bytes")
        return self.archive.open(info)

    def unpickle(self) -> object:
        with self.member(self.prefix + "data.pkl", MAX_PICKLE_BYTES) as file:
            try:
                return RestrictedUnpickler(file).load()
            except ConversionError:
                raise
            except Exception as error:  # a broken pickle raises nearly anything
                raise ConversionError(f"{self.path}: data.pkl is broken: {type(error).__name__}: {error}") from error

    def read(self, reference: TensorReference) -> Array:
        storage = reference.storage
        if storage.key not in self.storages:
            dtype = np.dtype(storage.type.numpy)
            size = storage.elements * dtype.itemsize
            if not 0 <= size <= self.bytes_left:
                raise ConversionError(f"{self.path}: its storages are larger than the file")
            self.bytes_left -= size
            with self.member(f"{self.prefix}data/{storage.key}", size) as file:
                values = np.frombuffer(file.read(), dtype)
            if values.size != storage.elements:
                raise ConversionError(f"{self.path}: storage {storage.key}: expected {storage.elements} elements")
            self.storages[storage.key] = from_bf16(values) if storage.type.stored == "bf16" else values
        values = self.storages[storage.key]
        if 0 in reference.shape:
            return np.zeros(reference.shape, values.dtype)
        last = reference.offset + sum((n - 1) * s for n, s in zip(reference.shape, reference.strides, strict=True))
        if last >= values.size:
            raise ConversionError(f"{self.path}: a tensor of shape {list(reference.shape)} leaves its storage")
        strides = tuple(stride * values.itemsize for stride in reference.strides)
        view = np.lib.stride_tricks.as_strided(values[reference.offset :], reference.shape, strides)
        return view.astype(np.float32) if view.dtype == np.float64 else view


def collect(root: object) -> dict[str, TensorReference]:
    """All tensors below `root`, named by the path of keys and attributes that leads to them."""
    found: dict[str, TensorReference] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, object]] = [("", root)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, TensorReference):
            found[name] = value
        if not isinstance(value, (dict, ScriptObject)) or id(value) in seen:
            continue
        seen.add(id(value))
        children = value.attributes if isinstance(value, ScriptObject) else value
        waiting += [(f"{name}.{key}" if name else str(key), child) for key, child in children.items()]
    return found


def read_torch_archive(path: Path) -> tuple[dict[str, Array], str]:
    """The weights and the type that most of their elements are stored in. Training checkpoints are looked into:
    {"state_dict": {...}}, and names that start with "module."."""
    regular_size(path)
    try:
        zip_file = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, struct.error, UnicodeDecodeError) as error:
        raise ConversionError(
            f"{path}: not a ZIP archive as torch.save and torch.jit.save write it since PyTorch 1.6; "
            "save it again with a current PyTorch"
        ) from error
    with zip_file:
        archive = Archive(path, zip_file)
        root = archive.unpickle()
        if isinstance(root, dict) and isinstance(root.get("state_dict"), dict):
            root = root["state_dict"]
        references = collect(root)
        if not references:
            raise ConversionError(f"{path}: expected weights, found none")
        elements: Counter[str] = Counter()
        weights: dict[str, Array] = {}
        for name, reference in references.items():
            weights[name.removeprefix("module.")] = archive.read(reference)
            if reference.storage.type.stored:
                elements[reference.storage.type.stored] += math.prod(reference.shape)
        return weights, elements.most_common(1)[0][0] if elements else "f32"
