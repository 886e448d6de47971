"""Each vendor's pictures of the emoji concepts, as RGBA of 96 px."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from concepts import Concept, key_of, without_zeros
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

SIZE = 96
Image.MAX_IMAGE_PIXELS = 60_000_000
Loader = Callable[[Concept], np.ndarray]  # raises LookupError where the vendor has no such picture


@dataclass
class Vendor:
    name: str
    source: str
    license: str
    style: str
    load: Loader


def square(picture: Image.Image) -> np.ndarray:
    """RGBA [96, 96, 4], straight alpha; resized with premultiplied colours."""
    picture = picture.convert("RGBA")
    width, height = picture.size
    if width != height:
        side = max(width, height)
        canvas = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        canvas.paste(picture, ((side - width) // 2, (side - height) // 2))
        picture = canvas
    if picture.size != (SIZE, SIZE):
        filtered = Image.Resampling.LANCZOS if picture.size[0] > SIZE else Image.Resampling.BICUBIC
        picture = picture.convert("RGBa").resize((SIZE, SIZE), filtered).convert("RGBA")
    return np.asarray(picture)


def crop_to_content(picture: Image.Image) -> Image.Image:
    """What is drawn, with a margin of 4 %: clip art often sits small on a page."""
    picture = picture.convert("RGBA")
    box = picture.getchannel("A").point(lambda alpha: 255 if alpha > 12 else 0).getbbox()
    if box is None:
        return picture
    margin = round(0.04 * max(box[2] - box[0], box[3] - box[1]))
    size = (box[2] - box[0] + 2 * margin, box[3] - box[1] + 2 * margin)
    canvas = Image.new("RGBA", size, (0, 0, 0, 0))
    canvas.paste(picture.crop(box), (margin, margin))
    return canvas


def read_bitmap(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return square(picture)


def read_svg(path: Path) -> np.ndarray:
    line = ["rsvg-convert", "-a", "-w", str(SIZE), "-h", str(SIZE), "-f", "png", str(path)]
    done = subprocess.run(line, capture_output=True, timeout=20, check=False)
    if done.returncode != 0:
        raise LookupError(f"{path}: {done.stderr[:80]!r}")
    with Image.open(io.BytesIO(done.stdout)) as picture:
        return square(picture)


def files_by_code(folder: Path, suffix: str, joiners: bool = True) -> dict[str, Path]:
    """Code points -> file. EmojiOne names its files without joiners."""

    def key(path: Path) -> str:
        parts = key_of(path.name.removesuffix(suffix)).split("-")
        return without_zeros("-".join(part for part in parts if joiners or part != "200D"))

    return {key(path): path for path in sorted(folder.glob(f"*{suffix}"))}


def from_files(folder: Path, suffix: str, read: Callable[[Path], np.ndarray], joiners: bool = True) -> Loader:
    files = files_by_code(folder, suffix, joiners)

    def load(concept: Concept) -> np.ndarray:
        parts = [part for part in concept.concept.split("-") if joiners or part != "200D"]
        return read(files[without_zeros("-".join(parts))])

    return load


def from_fonts(paths: list[Path]) -> Loader:
    """Glyphs of outline fonts; single code points only."""
    owner: dict[int, Path] = {}
    for path in paths:
        for code in TTFont(path).getBestCmap():
            owner.setdefault(code, path)
    fonts: dict[Path, ImageFont.FreeTypeFont] = {}

    def font(path: Path) -> ImageFont.FreeTypeFont:
        if path not in fonts:
            opened = TTFont(path)
            opened.flavor = None  # FreeType reads no compressed web fonts
            with tempfile.NamedTemporaryFile(suffix=".ttf") as file:
                opened.save(file.name)
                fonts[path] = ImageFont.truetype(io.BytesIO(Path(file.name).read_bytes()), 180)
        return fonts[path]

    def load(concept: Concept) -> np.ndarray:
        if "-" in concept.concept:
            raise LookupError("a sequence")
        code = int(concept.concept, 16)
        ink = Image.new("L", (360, 360), 0)
        ImageDraw.Draw(ink).text((60, 60), chr(code), fill=255, font=font(owner[code]))
        if ink.getbbox() is None:
            raise LookupError("blank")
        picture = Image.new("RGBA", ink.size, (0, 0, 0, 0))
        picture.putalpha(ink)
        return square(crop_to_content(picture))

    return load


def emoji_vendors(data: Path) -> list[Vendor]:
    npm = data / "npm"
    google = npm / "emoji-datasource-google-16.0.0/package/img/google/64"
    twitter = npm / "emoji-datasource-twitter-16.0.0/package/img/twitter/64"
    fluent = "lobehub-fluent-emoji-{}/package/assets"
    emojione = npm / "emojione-2.2.7/package/assets"
    noto_font = sorted((npm / "fontsource-noto-emoji-5.3.2/package/files").glob("*-400-normal.woff2"))
    symbola = data / "deb/usr/share/fonts/truetype/ancient-scripts/Symbola_hint.ttf"
    return [
        Vendor("noto", "npm emoji-datasource-google@16.0.0", "Apache-2.0", "emoji",
               lambda concept: read_bitmap(google / concept.file)),
        Vendor("twemoji", "npm emoji-datasource-twitter@16.0.0", "CC-BY-4.0", "emoji",
               lambda concept: read_bitmap(twitter / concept.file)),
        Vendor("fluent3d", "npm @lobehub/fluent-emoji-3d@1.1.0", "MIT", "3d emoji",
               from_files(npm / fluent.format("3d-1.1.0"), ".webp", read_bitmap)),
        Vendor("fluentflat", "npm @lobehub/fluent-emoji-flat@1.1.0", "MIT", "flat emoji",
               from_files(npm / fluent.format("flat-1.1.0"), ".svg", read_svg)),
        Vendor("fluentmodern", "npm @lobehub/fluent-emoji-modern@1.0.0", "MIT", "emoji",
               from_files(npm / fluent.format("modern-1.0.0"), ".svg", read_svg)),
        Vendor("emojione", "npm emojione@2.2.7", "CC-BY-4.0", "emoji",
               from_files(emojione / "png_128x128", ".png", read_bitmap, joiners=False)),
        Vendor("emojionebw", "npm emojione@2.2.7", "CC-BY-4.0", "line drawing",
               from_files(emojione / "svg_bw", ".svg", read_svg, joiners=False)),
        Vendor("notomono", "npm @fontsource/noto-emoji@5.3.2", "OFL-1.1", "line drawing", from_fonts(noto_font)),
        Vendor("symbola", "debian fonts-symbola", "free for any use", "line drawing", from_fonts([symbola])),
        Vendor("openmoji", "npm openmoji@17.0.0", "CC-BY-SA-4.0", "emoji",
               from_files(npm / "openmoji-17.0.0/package/color/svg", ".svg", read_svg)),
    ]  # fmt: skip
