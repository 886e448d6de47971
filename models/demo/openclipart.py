"""The Open Clip Art Library's pictures whose own metadata dedicates them to the public domain, and names for them."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from concepts import clean
from PIL import Image
from sources import crop_to_content, square

SKIPPED_FOLDERS = re.compile(
    r"^(logos|special|unsorted/duplicates|shapes/(stars|jigsaw|flowchart)|computer/(icons|buttons)|buttons|"
    r"recreation/games/cards|decorations|signs_and_symbols/(led|flags))(/|$)"
)
UNFIT = re.compile(
    r"stripper|nude|naked|sex|erotic|porn|nazi|swastika|bikini|babe|pin ?up|cannabis|marijuana|drug|hitler|blood|"
    r"suicide|kill|dead body|\bslut|breast",
    re.IGNORECASE,
)
ITALIAN_AND_FRENCH = re.compile(r"architetto|francesc")  # two creators whose titles are not English
FILLER = re.compile(r"\b(anonymous|rollandin|01|clipart|svg|ganson|\w)\b|\d+")
SERIES = re.compile(
    r"\bby [a-z]+ [a-z]+ - | - (clothing|body part)\b|\b(bw|b and w|m bwh|rpg map elements?|aiga|nps map pictographs?|"
    r"bb|mattias|buculei|nicu|ganson)\b|\s+-\s*$"
)
NO_KEYWORDS = {"hash", "mapsym", "olivier", "clip art", "clipart", "externalsource", "unsorted", "signs and symbols",
               "public domain", "image", "svg", "png", "media", "unchecked", "deutsch", "etiquette"}  # fmt: skip
NO_FLIP = re.compile(r"sign|symbol|arrow|flag|computer|office|map|geography|callout|education|text|letter")
MAX_PIXELS = 30_000_000


@dataclass
class Entry:
    path: Path
    folder: str
    title: str
    creator: str
    subjects: list[str]


def read_entry(path: Path, root: Path) -> Entry | str:
    """The picture's metadata, from its SVG twin; or why it is left out."""
    folder = path.parent.relative_to(root / "png").as_posix()
    if path.is_symlink():
        return "symlink"
    if SKIPPED_FOLDERS.match(folder):
        return "skipped folder"
    twin = root / "svg" / folder / (path.stem + ".svg")
    text = twin.read_text("utf-8", "replace") if twin.is_file() else ""
    found = re.search(r"<metadata.*?</metadata>", text, re.DOTALL)
    if found is None:
        return "no metadata"
    metadata = found.group(0)
    if "publicdomain" not in metadata.lower():
        return "not public domain"
    if re.search(r'<image[^>]*href="(?!data:)', text, re.DOTALL):
        return "linked image missing"

    def values(pattern: str) -> list[str]:
        return [re.sub(r"\s+", " ", value).strip() for value in re.findall(pattern, metadata, re.DOTALL)]

    title = (values(r"<cc:Work.*?<dc:title>(.*?)</dc:title>") or [""])[0]
    creator = " ".join(values(r"<dc:creator>.*?<dc:title>(.*?)</dc:title>"))
    subjects = [subject for subject in values(r"<rdf:li>(.*?)</rdf:li>") if subject]
    if UNFIT.search(" ".join([path.name.replace("_", " "), title, *subjects])):
        return "unfit"
    if ITALIAN_AND_FRENCH.search(creator.lower() + path.name.lower()):
        return "not English"
    return Entry(path, folder, title, creator, subjects)


def words_of_file_name(entry: Entry) -> str:
    words = re.sub(r"[_\-\.]+", " ", entry.path.stem.lower())
    for word in re.findall(r"\w+", entry.creator.lower()):
        if len(word) > 2:
            words = re.sub(rf"\b{re.escape(word)}\b", " ", words)
    return re.sub(r"\s+", " ", FILLER.sub(" ", words)).strip()


def name_and_keywords(entry: Entry, titles: Counter[str]) -> tuple[str, list[str]]:
    """The title, or the file's name where the title is empty or shared by many; an empty name where neither will do."""
    from_file = words_of_file_name(entry)
    title = re.sub(r"\s+", " ", re.sub(r"\d+|[_\.\(\)#\"]", " ", entry.title.lower())).strip()
    title = re.sub(r"\b(clip ?art|svg|untitled|vector|icon$)\b", "", title).strip()
    unusable = titles[clean(entry.title)] > 6 or not re.search(r"[a-z]{3}", title)
    name = from_file if unusable and from_file else title
    name = re.sub(r"\s+", " ", SERIES.sub(" ", name)).strip(" -:,")
    if not re.search(r"[a-z]{3}", name) or not name.isascii():
        name = ""
    keywords: list[str] = []
    last_folder = clean(entry.folder.split("/")[-1])
    for word in (*entry.subjects, from_file if name != from_file else "", last_folder):
        keyword = clean(word.replace("-", " "))
        fits = re.search(r"[a-z]{3}", keyword) and len(keyword) < 40 and not keyword.startswith("hash(")
        if fits and keyword not in (*keywords, name) and keyword not in NO_KEYWORDS:
            keywords.append(keyword)
    if (not name or len(name) > 60) and keywords:
        name = keywords.pop(0)
    return (name, keywords) if len(name) <= 60 else ("", keywords)


def read_openclipart(data: Path, held_out_names: set[str]) -> tuple[list[np.ndarray], list[dict], Counter[str]]:
    """Pictures, what is known of each, and why others were left out."""
    root = data / "deb/usr/share/openclipart"
    left_out: Counter[str] = Counter()
    entries: list[Entry] = []
    for path in sorted((root / "png").rglob("*.png")):
        entry = read_entry(path, root)
        if isinstance(entry, Entry):
            entries.append(entry)
        else:
            left_out[entry] += 1
    titles = Counter(clean(entry.title) for entry in entries)
    longest_first = sorted((re.escape(name) for name in held_out_names if len(name) > 2), key=len, reverse=True)
    held_out = re.compile(r"\b(" + "|".join(longest_first) + r")(s|es)?\b")
    pictures, metas = [], []
    for entry in entries:
        name, keywords = name_and_keywords(entry, titles)
        if not name:
            left_out["no text"] += 1
            continue
        try:
            with Image.open(entry.path) as picture:
                if picture.size[0] * picture.size[1] > MAX_PIXELS:
                    raise ValueError("huge")
                rgba = square(crop_to_content(picture))
        except (OSError, ValueError, Image.DecompressionBombError):
            left_out["unreadable"] += 1
            continue
        if rgba[..., 3].mean() < 4:
            left_out["blank"] += 1
            continue
        pictures.append(rgba)
        folder = entry.folder.lower()
        metas.append(
            {
                "concept": "clipart:" + name,
                "name": name,
                "keywords": keywords,
                "is_flag": "flags" in folder,
                "flip_ok": NO_FLIP.search(folder) is None,
                "heldout": held_out.search(name) is not None,
                "kind": "clipart",
                "source": f"debian openclipart-png {entry.folder}/{entry.path.name}",
                "license": "public domain (the SVG twin's metadata)",
            }
        )
    return pictures, metas, left_out
