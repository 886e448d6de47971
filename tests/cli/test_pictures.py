"""`clipon preprocess` gives Pillow's bytes for a picture of every mode (golden/make_pictures.py)."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from conftest import GOLDEN, Command

EXPECTED = np.load(GOLDEN / "pictures.npz")
NAMELESS_SAMPLING = ("yuv_3_to_1.jpg", "yuv_uneven.jpg")  # stb_image decodes them where TurboJPEG 2 does not


@pytest.mark.parametrize("name", sorted(EXPECTED.files))
def test_picture(name: str, clipon32: Command) -> None:
    done = clipon32("preprocess", GOLDEN / "pictures" / name, "-o", clipon32.work / "out.npy")
    if name == "cmyk.jpg" and not clipon32.has_turbojpeg:
        assert done.returncode == 1
        assert "CMYK" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    found = np.load(clipon32.work / "out.npy")
    assert found.shape == EXPECTED[name].shape
    difference = np.abs(found.astype(int) - EXPECTED[name].astype(int))
    if name.endswith(".jpg") and (name in NAMELESS_SAMPLING or not clipon32.has_turbojpeg):
        assert difference.mean() <= 2.0  # stb_image's own inverse transform and chroma interpolation
    else:
        assert difference.max() == 0, (
            f"{(difference > 0).mean():.3f} of the bytes differ, by {difference.max()} at most"
        )


def patched_jpegs() -> dict[str, bytes]:
    """A sound picture, told by its headers to be of another version, which libjpeg warns of and Pillow decodes."""
    plain = (GOLDEN / "pictures/rgb.jpg").read_bytes()
    version = plain.index(b"JFIF\0") + len(b"JFIF\0")
    scan = plain.index(b"\xff\xda")
    last_coefficient = scan + 2 + int.from_bytes(plain[scan + 2 : scan + 4]) - 2
    adobe = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x05"
    return {
        "JFIF 2": plain[:version] + b"\x02" + plain[version + 1 :],
        "Adobe's transform 5": plain[:2] + adobe + plain[2 + 2 + int.from_bytes(plain[4:6]) :],
        "coefficients to 62": plain[:last_coefficient] + b"\x3e" + plain[last_coefficient + 1 :],
        "bytes between segments": plain[:scan] + b"\x00\x00\x00" + plain[scan:],
    }


@pytest.mark.parametrize("name", sorted(patched_jpegs()))
def test_warnings_that_tell_of_no_damage(name: str, clipon32: Command) -> None:
    picture = clipon32.work / "patched.jpg"
    picture.write_bytes(patched_jpegs()[name])
    done = clipon32("preprocess", picture, "-o", clipon32.work / "out.npy")
    assert done.returncode == 0, done.stderr
    plain = clipon32("preprocess", GOLDEN / "pictures/rgb.jpg", "-o", clipon32.work / "plain.npy")
    assert plain.returncode == 0
    assert np.array_equal(np.load(clipon32.work / "out.npy"), np.load(clipon32.work / "plain.npy"))


def flat_png(width: int, height: int, bit_depth: int, colour_type: int, pixel: bytes) -> bytes:
    """One colour, which compresses to a thousandth: a screenshot, say, of an empty page."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    line = b"\0" + pixel * width
    head = struct.pack(">IIBBBBB", width, height, bit_depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(line * height, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bit_depth", "colour_type", "pixel"), [(8, 2, b"\x40" * 3), (8, 6, b"\x40\x40\x40\xff"), (16, 2, b"\x40" * 6)]
)
def test_a_large_picture_of_few_bytes(clipon32: Command, bit_depth: int, colour_type: int, pixel: bytes) -> None:
    (clipon32.work / "page.png").write_bytes(flat_png(3840, 2160, bit_depth, colour_type, pixel))
    done = clipon32("preprocess", clipon32.work / "page.png", "-o", clipon32.work / "out.npy")
    assert done.returncode == 0, done.stderr
    found = np.load(clipon32.work / "out.npy")
    assert found.shape == EXPECTED["rgb.png"].shape
    assert (found == 0x40).all()
