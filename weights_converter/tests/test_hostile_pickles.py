"""torch.save archives made to do harm: refused in one line, nothing run, in bounded time and memory."""

from __future__ import annotations

import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from clipon_convert.errors import ConversionError
from clipon_convert.sources.weights_file import read_weights
from conftest import convert

STORAGE = b"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI%d\ntQ"  # a persistent id, protocol 0's spelling


def torch_file(path: Path, payload: bytes, storages: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", payload)
        for key, data in storages.items():
            file.writestr(f"archive/data/{key}", data)
    return path


def tensor(elements: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """A pickle of {'w': tensor}, its numbers as given."""

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"I%d\n" % v for v in values) + b"t"

    storage = STORAGE % elements
    call = (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"I%d\n" % offset
        + numbers(shape)
        + numbers(strides)
        + b"tR"
    )
    return b"(dS'w'\n" + call + b"s."


def test_a_sound_archive_reads(tmp_path: Path) -> None:
    data = np.arange(6, dtype="<f4").tobytes()
    read = read_weights(torch_file(tmp_path / "sound.pt", tensor(6, 2, (2, 2), (2, 1)), {"0": data}))
    assert read.weights["w"].tolist() == [[2, 3], [4, 5]]
    assert read.stored_type == "f32"


@pytest.mark.parametrize(
    ("elements", "offset", "shape", "strides"),
    [
        (6, -1, (2,), (1,)),
        (6, 0, (-2,), (1,)),
        (6, 0, (2,), (-1,)),
        (6, 5, (2,), (1,)),
        (6, 2**41, (1,), (1,)),
        (6, 0, (2**39, 2**39), (0, 0)),  # a terabyte of one number
        (6, 0, (7,), (0,)),
        (2**38, 0, (2,), (1,)),
        (-6, 0, (2,), (1,)),
        (6, 0, (1,) * 9, (1,) * 9),
        (6, 0, (2, 2), (1,)),
        (7, 0, (2,), (1,)),  # the member has six
        (5, 0, (2,), (1,)),
        (6, 0, (2, 2), (5, 1)),  # the last of four is at 6
        (6, 2, (2,), (4,)),
        (6, 0, (2**40,), (0,)),
        (6, 0, (1,), (2**62,)),
        (2**40, 0, (2,), (1,)),
    ],
)
def test_tensors_that_lie(
    tmp_path: Path, elements: int, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> None:
    data = np.arange(6, dtype="<f4").tobytes()
    with pytest.raises(ConversionError):
        read_weights(torch_file(tmp_path / "bad.pt", tensor(elements, offset, shape, strides), {"0": data}))


def test_tensors_up_to_their_storage(tmp_path: Path) -> None:
    data = {"0": np.arange(6, dtype="<f4").tobytes()}
    for shape, strides, expected in (
        ((2, 2), (4, 1), [[0, 1], [4, 5]]),
        ((2,), (5,), [0, 5]),
        ((1,) * 8, (1,) * 8, [[[[[[[[0]]]]]]]]),
        ((), (), 0),
        ((2, 0), (2**39, 1), [[], []]),
    ):
        path = torch_file(tmp_path / "whole.pt", tensor(6, 0, shape, strides), data)
        assert read_weights(path).weights["w"].tolist() == expected


def test_state_can_not_change_a_checked_tensor(tmp_path: Path) -> None:
    sound = tensor(6, 0, (2,), (1,))
    payload = sound[:-2] + b"(dS'offset'\nI-1000000\nsb" + b"s."  # BUILD on the tensor
    with pytest.raises(ConversionError, match="change a TensorReference"):
        read_weights(torch_file(tmp_path / "state.pt", payload, {"0": bytes(24)}))


def test_a_vast_memo_index_takes_no_memory(tmp_path: Path) -> None:
    payload = b"\x80\x02}r" + struct.pack("<I", 2**32 - 1) + b"."  # LONG_BINPUT
    with pytest.raises(ConversionError, match="found none"):
        read_weights(torch_file(tmp_path / "memo.pt", payload, {}))


def test_many_storages(tmp_path: Path) -> None:
    names = [f"w{i}" for i in range(50)]
    payload = b"(d"
    for i, name in enumerate(names):
        one = tensor(6, 0, (2,), (1,)).replace(b"S'0'", b"S'%d'" % i)
        payload += b"S'%s'\n" % name.encode() + one[len(b"(dS'w'\n") : -1]
    path = torch_file(tmp_path / "many.pt", payload + b".", {str(i): bytes(24) for i in range(50)})
    assert len(read_weights(path).weights) == 50


def test_ordered_dictionaries_with_metadata_read(tmp_path: Path) -> None:
    inner = pickle.dumps(OrderedDict(), 0)[:-1]
    payload = inner + b"(dS'_metadata'\n(dsb" + b"."
    with pytest.raises(ConversionError, match="found none"):
        read_weights(torch_file(tmp_path / "empty.pt", payload, {}))


def doubled(times: int) -> bytes:
    """Pushes a tuple of a tuple twice, which holds one twice, ...: 2^times leaves in two bytes each."""
    return b"N" + b"2\x86" * times


def persistent_id(kind: bytes, storage: bytes, key: bytes, place: bytes, elements: bytes) -> bytes:
    return b"\x80\x02(" + kind + storage + key + place + elements + b"tQ."


FLOATS = b"ctorch\nFloatStorage\n"
TEXT, NUMBER = b"X\x01\0\0\0a", b"K\x01"


@pytest.mark.parametrize(
    "payload",
    [
        b"\x80\x02}" + doubled(40) + b"Ns.",  # SETITEM
        b"\x80\x02}(" + doubled(40) + b"Nu.",  # SETITEMS
        b"\x80\x02(" + doubled(40) + b"Nd.",  # DICT
        b"\x80\x02ccollections\nOrderedDict\n]" + doubled(40) + b"N\x86a\x85R.",
        b"\x80\x04\x8f(" + doubled(40) + b"\x90.",  # ADDITEMS
        b"\x80\x04(" + doubled(40) + b"\x91.",  # FROZENSET
        persistent_id(doubled(40), FLOATS, TEXT, TEXT, NUMBER),
        persistent_id(b"X\x07\0\0\0storage", doubled(40), TEXT, TEXT, NUMBER),
        persistent_id(b"X\x07\0\0\0storage", FLOATS, doubled(40), TEXT, NUMBER),
        persistent_id(b"X\x07\0\0\0storage", FLOATS, TEXT, doubled(40), NUMBER),
        persistent_id(b"X\x07\0\0\0storage", FLOATS, TEXT, TEXT, doubled(40)),
    ],
    ids=[
        "setitem",
        "setitems",
        "dict",
        "ordereddict",
        "additems",
        "frozenset",
        "kind",
        "type",
        "key",
        "place",
        "elements",
    ],
)
def test_tuples_that_share_their_halves(tmp_path: Path, bpe: Path, payload: bytes) -> None:
    source = torch_file(tmp_path / "shared.pt", payload, {})
    assert source.stat().st_size < 400
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert "data.pkl: " in done.stderr
    assert "broken" not in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (b"X" + struct.pack("<I", 1025) + b"a" * 1025, "at most 1024 letters"),
        (b"\x8a\x08" + b"\x7f" * 8, "from 0 to"),  # hashes of large numbers can be made to collide
        (b"J" + struct.pack("<i", -1), "from 0 to"),
        (b"G" + struct.pack(">d", 1.5), "found a float"),
        (b"N", "found a NoneType"),
        (b")", "found a tuple"),
    ],
    ids=["long", "vast", "negative", "float", "none", "tuple"],
)
def test_keys_that_weights_have_no_need_of(tmp_path: Path, key: bytes, why: str) -> None:
    with pytest.raises(ConversionError, match=why):
        read_weights(torch_file(tmp_path / "key.pt", b"\x80\x02}" + key + b"Ns.", {}))


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"c__torch__\nA\n(" + b"N" * 9 + b"tR.", "at most 8 arguments"),
        (b"c__torch__\nA\nX\x01\0\0\0aR.", "at most 8 arguments"),
        (b"c__torch__\nA\nN\x85\x81.", "without arguments"),
        (b"ctorch._utils\n_rebuild_tensor_v2\n(" + STORAGE % 6 + b"K\0(" + b"K\1" * 9 + b"t)tR.", "at most 8 numbers"),
        (b"]NNs.", "found a list"),
        (b"ccollections\nOrderedDict\n)\x81.", "without arguments"),
        (b"\x8f.", "it makes a set"),
        (b"c__torch__\nA\n)}\x92.", "a call by keywords"),
        (b"}}b.", "change a dict"),
        (b"\x96" + struct.pack("<Q", 1 << 31) + b".", "bytearray"),
    ],
    ids=["many", "text", "new", "sizes", "list", "new of a function", "set", "keywords", "state", "bytearray"],
)
def test_calls_that_copy_or_reserve_at_will(tmp_path: Path, payload: bytes, why: str) -> None:
    with pytest.raises(ConversionError, match=why):
        read_weights(torch_file(tmp_path / "call.pt", b"\x80\x05" + payload, {}))


def test_a_deep_tree_of_long_names(tmp_path: Path, bpe: Path) -> None:
    depth = 50_000
    key = b"X" + struct.pack("<I", 1000) + b"a" * 1000 + b"q\0"
    payload = b"\x80\x02}" + key + b"}h\0" * depth + b"}" + b"s" * (depth + 1) + b"."
    done = convert(torch_file(tmp_path / "deep.pt", payload, {}), tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert "names of at most" in done.stderr


def names_of_one_tensor(names: int, elements: int) -> bytes:
    one = tensor(elements, 0, (elements,), (1,))[len(b"(dS'w'\n") : -2]
    return b"\x80\x02" + one + b"q\x010}(" + b"".join(b"S'w%d'\nh\x01" % i for i in range(names)) + b"u."


def test_names_of_one_tensor(tmp_path: Path) -> None:
    storages = {"0": bytes(40_000)}
    tied = torch_file(tmp_path / "tied.pt", names_of_one_tensor(2, 10_000), storages)
    assert set(read_weights(tied).weights) == {"w0", "w1"}
    four = torch_file(tmp_path / "four.pt", names_of_one_tensor(4, 10_000), storages)
    assert len(read_weights(four).weights) == 4
    with pytest.raises(ConversionError, match="share storages"):
        read_weights(torch_file(tmp_path / "shared.pt", names_of_one_tensor(5, 10_000), storages))
    with pytest.raises(ConversionError, match="at most 65536 tensors"):
        read_weights(torch_file(tmp_path / "many.pt", names_of_one_tensor(70_000, 1), {"0": bytes(4)}))


@pytest.mark.parametrize(
    ("mark", "key", "elements"), [("storages", "0", 6), ("storage", "0" * 1025, 6), ("storage", "0", 2**40)]
)
def test_storages_of_other_marks_names_and_sizes(tmp_path: Path, mark: str, key: str, elements: int) -> None:
    payload = b"(S'%s'\nctorch\nFloatStorage\nS'%s'\nS'cpu'\nI%d\ntQ." % (mark.encode(), key.encode(), elements)
    with pytest.raises(ConversionError, match="a storage with a short name and a size"):
        read_weights(torch_file(tmp_path / "storage.pt", payload, {}))


@pytest.mark.parametrize("name", ["torch.storage", "torch", "__main__"])
def test_only_script_modules_are_made_up(tmp_path: Path, name: str) -> None:
    path = torch_file(tmp_path / "class.pt", b"c%s\nLinear\n)\x81." % name.encode(), {})
    with pytest.raises(ConversionError, match=f"it wants to call {name}.Linear"):
        read_weights(path)


def test_a_dictionary_that_holds_itself(tmp_path: Path) -> None:
    path = torch_file(tmp_path / "circle.pt", b"\x80\x02}q\0X\x04\0\0\0selfh\0s.", {})
    with pytest.raises(ConversionError, match=f"{path}: expected weights, found none"):
        read_weights(path)


def test_broken_pickles_are_told_with_their_file(tmp_path: Path) -> None:
    path = torch_file(tmp_path / "broken.pt", b"\x80\x02(", {})
    with pytest.raises(ConversionError, match=rf"{path}: data\.pkl is broken"):
        read_weights(path)
    path = torch_file(tmp_path / "missing.pt", tensor(6, 0, (2,), (1,)), {})
    with pytest.raises(ConversionError, match=f"{path}: expected 'archive/data/0' in the archive, found none"):
        read_weights(path)


def test_pickles_of_many_megabytes(tmp_path: Path) -> None:
    sound = tensor(1, 0, (1,), (1,))
    for size, data in ((16 << 20, {"0": bytes(4)}), ((16 << 20) + 1, {"0": bytes(4)})):
        path = torch_file(tmp_path / "long.pt", sound + bytes(size - len(sound)), data)
        if size == 16 << 20:
            assert read_weights(path).weights["w"].tolist() == [0]
        else:
            with pytest.raises(ConversionError, match="uncompressed member of at most 16777216 bytes"):
                read_weights(path)


def test_byte_order(tmp_path: Path) -> None:
    for order, prefix in ((b"little", "archive/"), (b"big", "elsewhere/")):
        path = torch_file(tmp_path / "order.pt", tensor(1, 0, (1,), (1,)), {"0": bytes(4)})
        with zipfile.ZipFile(path, "a") as file:
            file.writestr(f"{prefix}byteorder", order)
        assert read_weights(path).weights["w"].tolist() == [0]
    path = torch_file(tmp_path / "big.pt", tensor(1, 0, (1,), (1,)), {"0": bytes(4)})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/byteorder", b"big")
    with pytest.raises(ConversionError, match=f"{path}: expected little-endian weights"):
        read_weights(path)


def test_pickles_further_down_are_other_files(tmp_path: Path) -> None:
    path = torch_file(tmp_path / "two.pt", tensor(1, 0, (1,), (1,)), {"0": bytes(4)})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("archive/extra/data.pkl", b"")
    assert read_weights(path).weights["w"].tolist() == [0]


@pytest.mark.parametrize(
    ("at", "value"), [(6, b"\x63"), (8, b"\0\x08" + bytes(36) + b"\xff")], ids=["version 9.9", "not UTF-8"]
)
def test_directories_of_zips_that_lie(tmp_path: Path, at: int, value: bytes) -> None:
    path = torch_file(tmp_path / "odd.pt", tensor(1, 0, (1,), (1,)), {"0": bytes(4)})
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\1\2")
    for i, byte in enumerate(value):
        if byte:
            content[entry + at + i] = byte
    path.write_bytes(content)
    with pytest.raises(ConversionError, match=f"{path}: not a ZIP archive"):
        read_weights(path)


def test_storages_that_overlap(tmp_path: Path) -> None:
    """A member within another: together they have more bytes than the file."""
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("archive/data/1", bytes(40_000))
        member = file.infolist()[0]
    outer_data = inner.read_bytes()[: 30 + len(member.filename) + 40_000]
    outer_data += bytes(-len(outer_data) % 4)
    payload = b"(d"
    for i, elements in enumerate((len(outer_data) // 4, 10_000)):
        one = tensor(elements, 0, (1,), (1,)).replace(b"S'0'", b"S'%d'" % i)
        payload += b"S'w%d'\n" % i + one[len(b"(dS'w'\n") : -1]
    path = tmp_path / "nested.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", payload + b".")
        file.writestr("archive/data/0", outer_data)
        outer = file.infolist()[1]
        member.header_offset = outer.header_offset + 30 + len(outer.filename)
        file.filelist.append(member)
        file.NameToInfo[member.filename] = member
    with pytest.raises(ConversionError, match="its storages are larger than the file"):
        read_weights(path)
