"""Weights of a PyTorch file, without PyTorch and without running anything that the file says.

Both torch.save and torch.jit.save write a ZIP: data.pkl, a pickle that describes the objects, and data/N, the bytes
of each storage. The pickle is read by an unpickler that knows the few names below and refuses every other; the script
modules of a TorchScript archive become inert objects whose attributes are looked through for tensors.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from clipon_convert.checkpoint import Array
from clipon_convert.dtypes import from_bf16
from clipon_convert.errors import ConversionError
from clipon_convert.files import regular_size
from clipon_convert.sources.stored_weights import StoredWeights

MAX_PICKLE_BYTES = 16 << 20  # OpenAI's largest data.pkl has under 1 MB; a byte can make an object of 64
MAX_NAME, MAX_NUMBER, MAX_TENSORS = 1024, 1 << 20, 1 << 16  # of keys, and of the tensors that they lead to
MAX_ARGUMENTS = 8  # _rebuild_tensor_v2 has seven
_NESTS = ("state_dict", "model_state_dict", "model")  # where a training checkpoint keeps its weights
MAX_SHARING = 4  # times that a file's bytes may be used; tied weights are used twice


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
    if not all(isinstance(sizes, tuple | list) and len(sizes) <= 8 for sizes in (shape, strides)):
        raise ConversionError("data.pkl: expected a tensor's shape and strides to be tuples of at most 8 numbers")
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, Storage) or not all(isinstance(n, int) and 0 <= n < 2**40 for n in numbers):
        raise ConversionError("data.pkl: expected a tensor of a storage, with offset, shape and strides")
    if len(shape) != len(strides):
        raise ConversionError(f"data.pkl: a tensor has {len(shape)} sizes and {len(strides)} strides")
    if math.prod(shape) > storage.elements:  # strides of 0 would make terabytes of one number
        raise ConversionError(f"data.pkl: a tensor of shape {list(shape)} has more elements than its storage")
    return TensorReference(storage, offset, tuple(shape), tuple(strides))


def _first(value: object, *_: object) -> object:
    return value


def _ordered_dict(*items: object) -> OrderedDict[object, object]:
    """Empty, as torch.save makes it: its constructor would hash whatever a file gives it, unseen by _check_key."""
    if items:
        raise ConversionError("data.pkl: expected an OrderedDict that is filled key by key, found one made of a list")
    return OrderedDict()


def _check_key(target: object, key: object) -> None:
    """A dictionary hashes its key and compares it with others: of tuples that hold one another twice that takes 2^n
    steps, of long texts and numbers their length each time, and numbers at will can be made to collide."""
    if not isinstance(target, dict):
        raise ConversionError(f"data.pkl: expected a dictionary to set a key of, found a {type(target).__name__}")
    if isinstance(key, str):
        if len(key) > MAX_NAME:
            raise ConversionError(f"data.pkl: expected keys of at most {MAX_NAME} letters, found one of {len(key)}")
    elif not isinstance(key, int):
        raise ConversionError(f"data.pkl: expected texts and numbers as keys, found a {type(key).__name__}")
    elif not 0 <= key <= MAX_NUMBER:
        raise ConversionError(f"data.pkl: expected numbers from 0 to {MAX_NUMBER} as keys, found one beyond")


_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _first,
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

    def load_setitem(self) -> None:
        _check_key(self.stack[-3], self.stack[-2])
        super().load_setitem()

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self) -> None:
        target = self.metastack[-1][-1]
        for key in self.stack[::2]:
            _check_key(target, key)
        super().load_setitems()

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def load_dict(self) -> None:
        for key in self.stack[::2]:
            _check_key({}, key)
        super().load_dict()

    dispatch[pickle.DICT[0]] = load_dict

    def load_reduce(self) -> None:
        """A call copies its arguments: a tuple of a million, called a million times, never ends."""
        arguments = self.stack[-1]
        if not isinstance(arguments, tuple) or len(arguments) > MAX_ARGUMENTS:
            raise ConversionError(f"data.pkl: expected a call with a tuple of at most {MAX_ARGUMENTS} arguments")
        super().load_reduce()

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_newobj(self) -> None:
        arguments, made = self.stack.pop(), self.stack.pop()
        if made is not ScriptObject or not isinstance(arguments, tuple) or arguments:
            raise ConversionError("data.pkl: expected a new script module without arguments, found another object")
        self.append(ScriptObject())

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_unneeded(self) -> None:
        raise ConversionError("data.pkl: it makes a set, a bytearray or a call by keywords; weights need none of these")

    # sets hash their members; a bytearray takes the memory that a length claims before its bytes are there
    dispatch |= dict.fromkeys(
        b"".join((pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET, pickle.BYTEARRAY8, pickle.NEWOBJ_EX)),
        load_unneeded,
    )

    def persistent_load(self, pid: Any) -> Storage:  # noqa: ANN401
        """Types first: text made of nested tuples, and equality of them, can take 2^n steps."""
        if not (isinstance(pid, tuple) and len(pid) == 5):
            raise ConversionError("data.pkl: expected a reference to a storage: a tuple of five")
        for value, kind in zip(pid, (str, StorageType, str, str, int), strict=True):
            if not isinstance(value, kind):
                raise ConversionError(
                    f"data.pkl: a reference to a storage: expected a {kind.__name__}, found a {type(value).__name__}"
                )
        mark, storage_type, key, _, elements = pid
        if mark != "storage" or len(key) > MAX_NAME or not 0 <= elements < 2**40:
            raise ConversionError("data.pkl: expected a reference to a storage with a short name and a size")
        return Storage(key, storage_type, elements)


class Archive:
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path, self.archive = path, archive
        pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ConversionError(f"{path}: expected one data.pkl in the archive, found {len(pickles)}")
        self.prefix = pickles[0].removesuffix("data.pkl")
        self.storages: dict[str, Array] = {}
        self.bytes_left = path.stat().st_size  # members may overlap, and so hold more than the file
        self.shared_bytes_left = MAX_SHARING * self.bytes_left
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
                return RestrictedUnpickler(io.BytesIO(file.read())).load()
            except ConversionError:
                raise
            except Exception as error:  # a broken pickle raises nearly anything
                raise ConversionError(f"{self.path}: data.pkl is broken: {type(error).__name__}: {error}") from error

    def _use(self, reference: TensorReference) -> None:
        """Thousands of names for one tensor would each be converted, and fill memory and disk."""
        self.shared_bytes_left -= math.prod(reference.shape) * np.dtype(reference.storage.type.numpy).itemsize
        if self.shared_bytes_left < 0:
            raise ConversionError(f"{self.path}: its tensors share storages, and are over {MAX_SHARING} times the file")

    def read(self, reference: TensorReference) -> Array:
        self._use(reference)
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
    """All tensors below `root`, named by the path of keys and attributes that leads to them. A name is put together
    when its turn comes: of a tree, all names at once can be far larger than the file."""
    found: dict[str, TensorReference] = {}
    seen: set[int] = set()
    waiting: list[tuple[str, object, object]] = [("", "", root)]
    while waiting:
        parent, key, value = waiting.pop()
        if not isinstance(value, (dict, ScriptObject, TensorReference)) or id(value) in seen:
            continue
        name = f"{parent}.{key}" if parent else str(key)
        if len(name) > MAX_NAME:
            raise ConversionError(f"data.pkl: expected names of at most {MAX_NAME} letters, found '{name[:40]}...'")
        if isinstance(value, TensorReference):
            found[name] = value
            if len(found) > MAX_TENSORS:
                raise ConversionError(f"data.pkl: expected at most {MAX_TENSORS} tensors, found more")
            continue
        seen.add(id(value))
        children = value.attributes if isinstance(value, ScriptObject) else value
        waiting += [(name, key, child) for key, child in children.items()]
    return found


def read(path: Path) -> StoredWeights:
    """Training checkpoints are looked into: {"state_dict": {...}} and its like."""
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
        stored = StoredWeights()
        nest = next((key for key in _NESTS if isinstance(root, dict) and isinstance(root.get(key), dict)), None)
        if nest is not None:
            stored.is_training_checkpoint = {"epoch", "name", "state_dict"} <= set(root)
            root = root[nest]
        references = collect(root)
        if not references:
            raise ConversionError(f"{path}: expected weights, found none")
        for name, reference in references.items():
            stored.weights[name] = archive.read(reference)
            if reference.storage.type.stored:
                stored.elements[reference.storage.type.stored] += math.prod(reference.shape)
        return stored
