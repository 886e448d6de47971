#!/usr/bin/env python3
"""Small pictures of every kind that CLIP's preprocessing may meet, and what Pillow makes of them.

    make_pictures.py OUT

Writes OUT/pictures/*.png|jpg|bmp and OUT/pictures.npz: for each name the bytes [32, 32, 3] after openai/CLIP's
_transform without ToTensor and Normalize: Resize(32, BICUBIC), CenterCrop(32), convert("RGB"), in torchvision's
arithmetic. Needs numpy and Pillow; made with Pillow 13.0.
"""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 32


def scene(height: int, width: int, channels: int, seed: int) -> np.ndarray:
    """Gradients, a disc and noise: edges and overshoot for the bicubic, every value of a byte."""
    rng = np.random.RandomState(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for c in range(channels):
        plane = 255 * (x * (c + 1) + y) / (width * (c + 1) + height)
        plane = np.where((x - width / 2) ** 2 + (y - height / 2) ** 2 < (min(width, height) / 3) ** 2, 255 - plane, plane)
        planes.append(np.clip(plane + rng.normal(0, 25, plane.shape), 0, 255))
    return np.stack(planes, -1).astype(np.uint8)


def write_png_16(path: Path, values: np.ndarray, colour_type: int) -> None:
    """Pillow writes no 16-bit RGB."""
    height, width, _ = values.shape
    raw = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values.reshape(height, -1))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw, 9)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def write_jpeg_of_blocks(path: Path, values: np.ndarray, factors: list[tuple[int, int]]) -> None:
    """Pillow samples colours in three ways only. Each block of 8 x 8 samples is its mean."""
    height, width, _ = values.shape
    across, down = (8 * max(factor[i] for factor in factors) for i in (0, 1))
    columns, rows = -(-width // across), -(-height // down)
    whole = np.pad(values, ((0, rows * down - height), (0, columns * across - width), (0, 0)), "edge")
    samples = np.asarray(Image.fromarray(whole).convert("YCbCr")).astype(int)
    bits, last = "", [0, 0, 0]
    for row, column in np.ndindex(rows, columns):
        unit = samples[row * down :, column * across :][:down, :across]
        for c, (h, v) in enumerate(factors):
            blocks = unit[:, :, c].reshape(v, down // v, h, across // h).mean((1, 3)).astype(int) - 128
            for value in blocks.flat:
                change, last[c] = int(value) - last[c], int(value)
                size = abs(change).bit_length()
                code = f"{change if change > 0 else change + 2**size - 1:0{size}b}" if size else ""
                bits += f"{size:04b}{code}0"  # the size by four bits, the change, the end of the block by one
    bits += "1" * (-len(bits) % 8)
    scan = int(bits, 2).to_bytes(len(bits) // 8).replace(b"\xff", b"\xff\0")

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    frame = struct.pack(">BHHB", 8, height, width, 3)
    for c, (h, v) in enumerate(factors):
        frame += bytes((c + 1, h << 4 | v, 0))
    sizes = b"\0" + bytes((0, 0, 0, 12)) + bytes(12) + bytes(range(12))  # table 0 of sizes: 12 codes of four bits
    ends = b"\x10" + bytes((1,)) + bytes(15) + b"\0"  # table 0 of coefficients: the end, one bit
    path.write_bytes(
        b"\xff\xd8"
        + segment(0xDB, b"\0" + bytes((8,)) * 64)  # a coefficient is a block's mean less 128
        + segment(0xC0, frame)
        + segment(0xC4, sizes)
        + segment(0xC4, ends)
        + segment(0xDA, bytes((3, 1, 0, 2, 0, 3, 0, 0, 63, 0)))
        + scan
        + b"\xff\xd9"
    )


def preprocess(picture: Image.Image) -> np.ndarray:
    width, height = picture.size
    short, long = min(width, height), max(width, height)
    if short != SIZE:
        size = (SIZE, int(SIZE * long / short)) if width <= height else (int(SIZE * long / short), SIZE)
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    width, height = picture.size
    left, top = round((width - SIZE) / 2), round((height - SIZE) / 2)
    return np.asarray(picture.crop((left, top, left + SIZE, top + SIZE)).convert("RGB"))


def main() -> None:
    out = Path(sys.argv[1])
    folder = out / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    rgb, rgba = scene(47, 61, 3, 1), scene(53, 40, 4, 2)
    gray = rgb[:, :, 0]
    images = {
        "gray.png": Image.fromarray(gray, "L"),
        "gray_alpha.png": Image.fromarray(rgba[:, :, :2].copy(), "LA"),
        "rgb.png": Image.fromarray(rgb),
        "rgba.png": Image.fromarray(rgba, "RGBA"),
        "rgba_exact_size.png": Image.fromarray(scene(32, 32, 4, 3), "RGBA"),
        "palette.png": Image.fromarray(rgb).quantize(17),
        "bilevel.png": Image.fromarray(gray).convert("1"),
        "tall.png": Image.fromarray(scene(150, 3, 3, 4)),
        "portrait.png": Image.fromarray(scene(190, 50, 3, 11) // 16 * 16),  # rows are resized first: see resize.hpp
        "portrait_alpha.png": Image.fromarray(scene(150, 45, 4, 12) // 16 * 16, "RGBA"),
        "wide.png": Image.fromarray(scene(2, 201, 3, 5)),
        "one_pixel.png": Image.fromarray(scene(1, 1, 3, 6)),
        "large.png": Image.fromarray(scene(211, 333, 3, 7) // 16 * 16),
        "rgb.bmp": Image.fromarray(rgb[:20, :21]),
        "gray.bmp": Image.fromarray(gray[:20, :21]),
        "palette.bmp": Image.fromarray(rgb[:20, :21]).quantize(16),
        "rgb.jpg": Image.fromarray(rgb),
        "gray.jpg": Image.fromarray(gray),
        "cmyk.jpg": Image.fromarray(rgb).convert("CMYK"),
    }
    for name, image in images.items():
        image.save(folder / name)
    images["palette.png"].save(folder / "palette_trns.png", transparency=bytes(range(0, 255, 15)))
    images["gray.png"].save(folder / "gray_trns.png", transparency=128)
    images["rgb.png"].save(folder / "rgb_trns.png", transparency=(1, 2, 3))
    images["rgb.png"].save(folder / "interlaced_progressive.jpg", progressive=True, quality=60, subsampling=2)
    images["rgb.png"].save(folder / "yuv444.jpg", quality=95, subsampling=0)
    write_jpeg_of_blocks(folder / "yuv_3_to_1.jpg", rgb, [(3, 1), (1, 1), (1, 1)])
    write_jpeg_of_blocks(folder / "yuv_uneven.jpg", rgb, [(2, 2), (2, 1), (1, 1)])
    write_png_16(folder / "rgb_16.png", scene(33, 45, 3, 8).astype(np.uint16) * 256 + 77, 2)
    write_png_16(folder / "rgba_16.png", scene(45, 33, 4, 9).astype(np.uint16) * 256 + 99, 6)
    expected = {}
    for path in sorted(folder.iterdir()):
        with Image.open(path) as image:
            expected[path.name] = preprocess(image)
    # the one documented difference: 16-bit gray takes the high byte, as 16-bit colour does; Pillow saturates it
    sixteen = scene(40, 38, 1, 10).astype(np.uint16) * 256 + 55
    write_png_16(folder / "gray_16.png", sixteen, 0)
    expected["gray_16.png"] = preprocess(Image.fromarray((sixteen[:, :, 0] >> 8).astype(np.uint8)))
    np.savez_compressed(out / "pictures.npz", **expected)
    print(f"{len(expected)} pictures")


if __name__ == "__main__":
    main()
