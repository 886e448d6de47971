"""CLIP's tokenizer with the first N merges (openai/CLIP clip/simple_tokenizer.py). Training captions are ASCII."""

from __future__ import annotations

import gzip
import html
import zipfile
from itertools import pairwise
from pathlib import Path

import regex
import torch

WORD = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)
VOCABULARY_FILE = "open_clip/bpe_simple_vocab_16e6.txt.gz"


class Tokenizer:
    def __init__(self, data: Path, merges: int, context: int) -> None:
        wheel = next(data.glob("open_clip_torch-*.whl"))
        lines = gzip.decompress(zipfile.ZipFile(wheel).read(VOCABULARY_FILE)).decode("utf-8").split("\n")
        self.merges = [tuple(line.split()) for line in lines[1 : 1 + merges]]
        self.rank = {merge: i for i, merge in enumerate(self.merges)}
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]  # bytes that stand for themselves
        others = [byte for byte in range(256) if byte not in set(printable)]
        self.letter = {byte: chr(byte) for byte in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
        alphabet = [self.letter[byte] for byte in printable + others]
        tokens = alphabet + [letter + "</w>" for letter in alphabet] + ["".join(merge) for merge in self.merges]
        self.id = {token: i for i, token in enumerate(tokens)}
        self.start, self.end, self.size, self.context = len(tokens), len(tokens) + 1, len(tokens) + 2, context
        self.cache: dict[str, list[int]] = {}

    def encode_word(self, word: str) -> list[int]:
        if word not in self.cache:
            symbols = [*word[:-1], word[-1] + "</w>"]
            while len(symbols) > 1:
                best = min(pairwise(symbols), key=lambda pair: self.rank.get(pair, len(self.rank)))
                if best not in self.rank:
                    break
                merged: list[str] = []
                for symbol in symbols:  # all occurrences, from the left
                    if merged and (merged[-1], symbol) == best:
                        merged[-1] += symbol
                    else:
                        merged.append(symbol)
                symbols = merged
            self.cache[word] = [self.id[symbol] for symbol in symbols]
        return self.cache[word]

    def encode(self, text: str) -> list[int]:
        text = regex.sub(r"\s+", " ", html.unescape(html.unescape(text))).strip().lower()
        words = ("".join(self.letter[byte] for byte in word.encode("utf-8")) for word in WORD.findall(text))
        return [i for word in words for i in self.encode_word(word)]

    def __call__(self, texts: list[str]) -> torch.Tensor:
        """[n, context]: start, ids, end, zeros"""
        out = torch.zeros(len(texts), self.context, dtype=torch.long)
        for row, text in zip(out, texts, strict=True):
            ids = [self.start, *self.encode(text)[: self.context - 2], self.end]
            row[: len(ids)] = torch.tensor(ids)
        return out
