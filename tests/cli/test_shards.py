"""WebDataset shards that are not what `clipon evaluate` can be right about: nothing of them is left out in silence."""

from __future__ import annotations

import csv
import io
import json
import tarfile
from pathlib import Path

import pytest
from test_commands import one_line

from conftest import GOLDEN, SAMPLES, Command

PIZZA = (SAMPLES / "pizza.png").read_bytes()
HOUSE = (SAMPLES / "house.png").read_bytes()
WEBP = b"RIFF\x0c\x00\x00\x00WEBPVP8L"


def shard(path: Path, **files: bytes) -> Path:
    """A shard of files named KEY_EXTENSION here, KEY.EXTENSION there."""
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name.replace("_", "."))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_extensions_in_any_case_and_captions_beside_a_class(clipon: Command) -> None:
    data = shard(clipon.work / "0.tar", a_PNG=PIZZA, a_Cls=b"0\n", a_TXT=b"a pizza\nfood", b_Png=HOUSE, b_CLS=b"1")
    (clipon.work / "classnames.txt").write_text("pizza\nhouse\n")
    done = clipon("evaluate", data, "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert (result["pictures"], result["top1"]) == (2, 1.0)


def test_a_label_that_is_a_number_counts_in_the_list_only_as_a_class(clipon: Command) -> None:
    labels, predictions = clipon.work / "labels.txt", clipon.work / "p.csv"
    labels.write_text("1\n0\n1950\n")
    data = shard(
        clipon.work / "0.tar",
        **{"a_png": PIZZA, "a_txt": b" 1950 \n", "b_png": PIZZA, "b_json": b'{"label": " 0"}'},
        **{"c_png": PIZZA, "c_cls": b"0\n"},
    )
    done = clipon("evaluate", data, "--labels-file", labels, "--predictions", predictions)
    assert done.returncode == 0, done.stderr
    with predictions.open(newline="") as file:
        assert [row["label"] for row in csv.DictReader(file)] == ["1950", "0", "1"]


@pytest.mark.parametrize(("other", "found"), [({"b_webp": WEBP}, ".webp"), ({}, "none")])
def test_a_label_without_a_picture_has_failed(clipon: Command, other: dict[str, bytes], found: str) -> None:
    data = shard(clipon.work / "0.tar", a_png=PIZZA, a_txt=b"pizza", b_txt=b"house", **other)
    done = clipon("evaluate", data, "--json")
    assert done.returncode == 3, done.stderr
    one_line(done.stderr, "0.tar/b: expected .jpg, .jpeg, .png or .bmp beside the label, found " + found)
    result = json.loads(done.stdout)
    assert (result["pictures"], result["failed"]) == (1, 1)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a_webp": WEBP, "a_cls": b"pizza"}, ["0.tar: expected .jpg, .jpeg, .png or .bmp", "found .webp"]),
        ({"a_png": PIZZA, "a_npy": b"\x93NUMPY"}, ["0.tar/a: expected .cls, .txt or .json", "found .npy"]),
        ({"a_png": PIZZA, "a_cls": b"0"}, ["0.tar/a.cls", "class 0", "found none", "classnames.txt", "--labels-file"]),
        ({"a_png": PIZZA, "a_txt": b"a pizza\nfood\n"}, ["0.tar/a.txt: expected a label of one line, found 2 lines"]),
        ({"a_png": PIZZA, "a_json": b'{"label": "a\\nb\\nc"}'}, ["0.tar/a.json", "found 3 lines"]),
        (
            {"a_png": PIZZA, "a_json": b'{"label": 7}'},
            ["0.tar/a: expected .cls", "'label': expected a string, found number"],
        ),
        ({"a_png": PIZZA, "a_json": b"{}"}, ["0.tar/a: expected .cls, .txt or .json", "found .json without 'label'"]),
        (
            {"a_png": PIZZA, "a_json": b'{"label'},
            ["0.tar/a: expected .cls, .txt or .json", ".json: expected an object"],
        ),
        ({"a_png": PIZZA, "a_jpg": PIZZA, "a_txt": b"pizza"}, ["0.tar/a.jpg: expected one picture of this key"]),
        ({"a_txt": b"pizza", "a_gif": b"", "a_webp": b""}, ["beside the label, found .gif"]),
        ({"notes_md": b"no sample"}, ["0.tar: expected labelled pictures, found none"]),
    ],
)
def test_what_is_refused(clipon: Command, files: dict[str, bytes], words: list[str]) -> None:
    done = clipon("evaluate", shard(clipon.work / "0.tar", **files))
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, *words)


@pytest.mark.parametrize("number", ["2", "9999999999", "99999999999999999999999"])
def test_a_class_beyond_the_list(clipon: Command, number: str) -> None:
    data = shard(clipon.work / "0.tar", a_png=PIZZA, a_cls=number.encode())
    (clipon.work / "classnames.txt").write_text("pizza\nhouse\n")
    done = clipon("evaluate", data)
    assert (done.returncode, done.stdout) == (2, "")
    one_line(done.stderr, f"0.tar/a: expected a class below 2, found {number}")


def labels_of(clipon: Command, *arguments: object) -> list[tuple[str, str, str]]:
    """Sample, label and group of each picture."""
    predictions = clipon.work / "p.csv"
    done = clipon("evaluate", *arguments, "--predictions", predictions)
    assert done.returncode == 0, done.stderr
    with predictions.open(newline="") as file:
        return [(row["path"].rpartition(".tar/")[2], row["label"], row["group"]) for row in csv.DictReader(file)]


def test_which_file_gives_a_label(clipon: Command) -> None:
    """A class before text before what the .json says, in whatever order they stand."""
    first = shard(
        clipon.work / "0.tar", a_txt=b"text", a_cls=b" class \r\n\n", a_json=b'{"label": "json"}', a_png=PIZZA
    )
    assert labels_of(clipon, first) == [("a", "class", "")]
    for files in (
        {"a_txt": b"text", "a_json": b'{"label": "json"}'},
        {"a_json": b'{"label": "json"}', "a_txt": b"text"},
    ):
        assert labels_of(clipon, shard(clipon.work / "0.tar", a_png=PIZZA, **files)) == [("a", "text", "")]
    second = shard(clipon.work / "1.tar", a_png=PIZZA, a_json=b'{"label": "json", "k": "x"}', b_png=HOUSE, b_txt=b"7",
                   b_json=b'{"k": true}')  # fmt: skip
    assert labels_of(clipon, second, "--group", "k") == [("a", "json", "x"), ("b", "7", "true")]
    for content, words in (
        (b"{}", "expected 'k' in its .json, found none"),
        (b'{"k": null}', "expected a string, a nu"),
    ):
        done = clipon("evaluate", shard(clipon.work / "2.tar", a_png=PIZZA, a_txt=b"x", a_json=content), "--group", "k")
        assert (done.returncode, done.stdout) == (2, "")
        one_line(done.stderr, "2.tar/a", words)


def test_which_list_names_the_classes(clipon: Command) -> None:
    (clipon.work / "data").mkdir()
    data = shard(clipon.work / "data/0.tar", a_png=PIZZA, a_cls=b"1", b_png=HOUSE, b_cls=b"0")
    for folder, name in ((".", "above"), ("data", "beside")):
        (clipon.work / folder / "classnames.txt").write_text(f"{name} 0\n{name} 1\n")
        assert labels_of(clipon, data) == [("a", f"{name} 1", ""), ("b", f"{name} 0", "")]
    given = clipon.work / "given.txt"
    given.write_text("given 0\ngiven 1\n")
    assert [label for _, label, _ in labels_of(clipon, data, "--labels-file", given)] == ["given 1", "given 0"]
    table = clipon.work / "data/data.csv"  # the list of shards is none of a table's
    table.write_text(f"path,label\n{SAMPLES}/pizza.png,pizza\n")
    assert labels_of(clipon, table)[0][1] == "pizza"


def test_pictures_of_each_kind_and_keys_with_dots(clipon: Command) -> None:
    pictures = GOLDEN / "pictures"
    members = {
        "a.b/0.jpg": (pictures / "rgb.jpg").read_bytes(),
        "a.b/0.cls": b"x",
        "1.JPEG": (pictures / "rgb.jpg").read_bytes(),
        "1.txt": b"x",
        "2.bmp": (pictures / "rgb.bmp").read_bytes(),
        "2.seg.png": PIZZA,  # of another key's extension: none of the sample
        "2.cls": b"x",
        "README": b"no sample",
    }
    with tarfile.open(clipon.work / "0.tar", "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    assert [name for name, *_ in labels_of(clipon, clipon.work / "0.tar")] == ["1", "2", "a.b/0"]


def header(
    name: bytes, size: int | bytes, kind: bytes = b"0", magic: bytes = b"ustar\x0000", prefix: bytes = b""
) -> bytes:
    """512 bytes before a file's, with their sum."""
    octal = size if isinstance(size, bytes) else b"%011o\0" % size
    fields = (
        (name, 100),
        (b"0000644\0", 8),
        (b"", 16),
        (octal, 12),
        (b"0" * 11, 12),
        (b" " * 8, 8),
        (kind, 1),
        (b"", 100),
    )
    block = b"".join(field.ljust(width, b"\0") for field, width in fields) + magic.ljust(88, b"\0")
    block = (block + prefix).ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % 512)


def extra(kind: bytes, content: bytes) -> bytes:
    return header(b"extra", len(content), kind) + padded(content)


def record(text: bytes) -> bytes:
    length = next(n for n in range(1, 99) if n == len(b"%d %s\n" % (n, text)))
    return b"%d %s\n" % (length, text)


LONG = b"d/" * 77 + b"k"
FORMS = {
    "octal": (b"k", lambda n: header(b"k.png", n)),
    "blanks around": (b"k", lambda n: header(b"k.png", b"%11o " % n)),
    "binary": (b"k", lambda n: header(b"k.png", b"\x80" + n.to_bytes(11, "big"))),
    "before POSIX": (b"k", lambda n: header(b"k.png", n, b"\0", b"")),
    "a prefix": (LONG, lambda n: header(b"k.png", n, prefix=LONG[:-2])),
    "GNU's long names": (b"x/k", lambda n: extra(b"L", b"x/k.png\0") + header(b"short", n)),
    "pax": (b"x/k", lambda n: extra(b"x", record(b"path=x/k.png") + record(b"a=b")) + header(b"short", n)),
    "pax for all": (b"k", lambda n: extra(b"g", record(b"path=wrong")) + header(b"k.png", n)),
    "after a link": (b"k", lambda n: header(b"x", 0, b"2") + header(b"k.png", n)),
    "after a folder": (b"k", lambda n: header(b"x.y", 0, b"5") + header(b"k.png", n)),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_archives(clipon: Command, form: str) -> None:
    key, head = FORMS[form]
    name, prefix = (b"k.txt", LONG[:-2]) if key == LONG else (key + b".txt", b"")
    content = head(len(PIZZA)) + padded(PIZZA) + header(name, 5, prefix=prefix) + b"pizza"
    path = clipon.work / "0.tar"
    for end in (b"\0" * (507 + 512), b"\0" * (507 + 1024), b"\0" * (507 + 1024) + b"what follows the end"):
        path.write_bytes(content + end)
        assert labels_of(clipon, path) == [(key.decode(), "pizza", "")]
    ended = content + b"\0" * (507 + 1024)
    # cut within the last entry, after it, between two, within a header; a wrong sum; no archive
    cuts = (content[:-1], content, content + b"\0" * 507, content[:-517], content[:-200], b"")
    for broken in (*cuts, ended[:148] + b"7" + ended[149:]):
        path.write_bytes(broken)
        done = clipon("evaluate", path)
        assert done.returncode == 1, done.stderr
        one_line(done.stderr, "0.tar: archive: ")
