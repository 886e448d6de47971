"""Lines of text in many scripts, made up by a seed, and their ids by the original tokenizer's own steps."""

from __future__ import annotations

import gzip
import html
import random
import unicodedata
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import ftfy
import regex

# first and last code point of each script's letters
SCRIPTS = {
    "Latin": (0x41, 0x24F), "Greek": (0x370, 0x3FF), "Cyrillic": (0x400, 0x52F), "Armenian": (0x531, 0x58A),
    "Hebrew": (0x591, 0x5F4), "Arabic": (0x600, 0x6FF), "Syriac": (0x700, 0x74F), "Devanagari": (0x900, 0x97F),
    "Bengali": (0x980, 0x9FE), "Gurmukhi": (0xA01, 0xA76), "Gujarati": (0xA81, 0xAFF), "Tamil": (0xB82, 0xBFA),
    "Telugu": (0xC00, 0xC7F), "Kannada": (0xC80, 0xCF2), "Malayalam": (0xD00, 0xD7F), "Sinhala": (0xD81, 0xDF4),
    "Thai": (0xE01, 0xE5B), "Lao": (0xE81, 0xEDF), "Tibetan": (0xF00, 0xFDA), "Myanmar": (0x1000, 0x109F),
    "Georgian": (0x10A0, 0x10FF), "Jamo": (0x1100, 0x11FF), "Ethiopic": (0x1200, 0x137C), "Cherokee": (0x13A0, 0x13FD),
    "Khmer": (0x1780, 0x17F9), "Mongolian": (0x1800, 0x18AA), "Latin, more": (0x1E00, 0x1EFF),
    "Greek, more": (0x1F00, 0x1FFE), "Kana": (0x3041, 0x30FF), "Bopomofo": (0x3105, 0x312F), "Han": (0x4E00, 0x9FEF),
    "Yi": (0xA000, 0xA48C), "Hangul": (0xAC00, 0xD7A3), "Presentation forms": (0xFB00, 0xFDFB),
    "Full width": (0xFF01, 0xFFEE), "Gothic": (0x10330, 0x1034A), "Deseret": (0x10400, 0x1044F),
    "Mathematical": (0x1D400, 0x1D7FF), "Emoji": (0x1F300, 0x1FAFF), "Han, more": (0x20000, 0x2A6D6),
}  # fmt: skip
PIECES = (
    " ", "  ", "\t", "\u00a0", "\u3000", "\u2003", "\u200b", "\u200d", "\ufeff", "\u202e", "'s", "'ll", "'",
    "\u2019t", "\u201c", "!", "...", "-", "_", "#", "@", "0", "42", "3.14", "\u0660", "\u00bd", "\u2460", "&amp;",
    "&lt;", "&amp;lt;", "&eacute;", "&EACUTE;", "&#233;", "&#xe9;", "&#x110000;", "&notin", "&bogus;", "<b>",
    "<|endoftext|>", "\u0301", "\u0327", "\u0130", "\u017f", "\u03a3", "\ufb01", "\u1e9e", "\u212a", "\x1b[31m",
    "\x07", "\u2028", "\r", "\ufffd", "\U0001f1e9\U0001f1ea",
)  # fmt: skip


def lines(count: int, seed: int = 0) -> list[str]:
    """Short ones: up to eight pieces, each a word of one script or one of PIECES; assigned in Unicode 14."""
    rng = random.Random(seed)
    scripts = list(SCRIPTS.values())
    out = []
    for i in range(count):
        first, last = scripts[i % len(scripts)]
        parts = []
        for _ in range(rng.randint(1, 8)):
            if rng.random() < 0.4:
                parts.append(rng.choice(PIECES))
                continue
            letters = (chr(rng.randint(first, last)) for _ in range(rng.randint(1, 7)))
            parts.append("".join(c for c in letters if unicodedata.category(c) not in ("Cn", "Cs", "Co")))
            parts.append(rng.choice((" ", " ", "")))
        out.append("".join(parts))
    return out


class OriginalTokenizer:
    """openai/CLIP clip/simple_tokenizer.py, with ftfy's guess at mojibake left out (docs/model_format.md)."""

    def __init__(self, merges_file: Path) -> None:
        with gzip.open(merges_file) as file:
            merges = file.read().decode("utf-8").split("\n")[1 : 49152 - 256 - 2 + 1]
        pairs = [tuple(merge.split()) for merge in merges]
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        letters = [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]
        rest = [b for b in range(256) if b not in printable]
        self.letter = dict(zip(printable + rest, letters, strict=True))
        vocabulary = letters + [c + "</w>" for c in letters] + ["".join(p) for p in pairs]
        self.ids = {token: i for i, token in enumerate([*vocabulary, "<|startoftext|>", "<|endoftext|>"])}
        self.rank = {pair: i for i, pair in enumerate(pairs)}
        self.pattern = regex.compile(
            r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
            regex.IGNORECASE,
        )
        self.bpe = lru_cache(1 << 16)(self._bpe)

    def _bpe(self, token: str) -> tuple[str, ...]:
        if token in ("<|startoftext|>", "<|endoftext|>"):
            return (token,)
        word = (*token[:-1], token[-1] + "</w>")
        while len(word) > 1:
            pair = min(pairwise(word), key=lambda p: self.rank.get(p, 1 << 30))
            if pair not in self.rank:
                break
            merged, i = [], 0
            while i < len(word):
                if word[i : i + 2] == pair:
                    merged.append(pair[0] + pair[1])
                    i += 2
                else:
                    merged.append(word[i])
                    i += 1
            word = tuple(merged)
        return word

    def encode(self, text: str) -> list[int]:
        text = html.unescape(html.unescape(ftfy.fix_text(text, fix_encoding=False))).strip()
        text = regex.sub(r"\s+", " ", text).strip().lower()
        ids = []
        for token in self.pattern.findall(text):
            word = "".join(self.letter[b] for b in token.encode("utf-8"))
            ids += [self.ids[part] for part in self.bpe(word)]
        return ids
