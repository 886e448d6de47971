"""Vocabularies: OpenAI's merges file, a Hugging Face tokenizer, the tokens of a clip.cpp file."""

from __future__ import annotations

import gzip
import importlib.util
import io
from collections.abc import Sequence
from heapq import heappop, heappush
from pathlib import Path

from clipon_convert.checkpoint import Vocabulary
from clipon_convert.errors import ConversionError
from clipon_convert.files import MAX_TEXT_BYTES, is_present, read_bytes, read_json, read_text

END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_alphabet() -> list[str]:
    """The 256 characters that stand for bytes, in the vocabulary's order (simple_tokenizer.py, bytes_to_unicode)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def check_merges(merges: Sequence[str], tokens: Sequence[str]) -> None:
    known = set(tokens)
    for merge in merges:
        if len(merge.split(" ")) != 2:
            raise ConversionError(f"vocabulary: expected a merge 'left right', found '{merge[:40]}'")
        for token in (*merge.split(" "), merge.replace(" ", "")):
            if token not in known:
                raise ConversionError(f"vocabulary: merge '{merge[:40]}': expected a token {token[:40]!r}, found none")


def lines_of(text: str) -> list[str]:
    """By their ends alone, which may be those of Windows: Unicode has more that splitlines() takes for such."""
    return text.replace("\r\n", "\n").split("\n")


def from_merges(merges: Sequence[str]) -> Vocabulary:
    """Bytes, bytes at a word's end, one token a merge, start and end."""
    alphabet = byte_alphabet()
    tokens = [*alphabet, *(letter + END_OF_WORD for letter in alphabet)]
    tokens += [merge.replace(" ", "") for merge in merges] + [START, END]
    check_merges(merges, tokens)
    return Vocabulary(tokens, list(merges), len(tokens) - 2, len(tokens) - 1)


def read_merges_file(path: Path, vocabulary_size: int) -> Vocabulary:
    """bpe_simple_vocab_16e6.txt(.gz) or its like: a header line, then a merge a line; as many as the model has."""
    data = read_bytes(path, MAX_TEXT_BYTES)
    if data.startswith(b"\x1f\x8b"):
        with gzip.open(io.BytesIO(data)) as file:
            data = file.read(MAX_TEXT_BYTES + 1)  # no compression bombs
    if len(data) > MAX_TEXT_BYTES:
        raise ConversionError(f"{path}: expected at most {MAX_TEXT_BYTES} bytes of merges, found more")
    lines = lines_of(data.decode("utf-8"))[1:]
    merges = vocabulary_size - 2 * 256 - 2
    if merges < 0 or len(lines) < merges:
        raise ConversionError(f"{path}: expected {merges} merges for {vocabulary_size} tokens, found {len(lines)}")
    return from_merges(lines[:merges])


def find_openai_merges() -> Path:
    """bpe_simple_vocab_16e6.txt.gz of the installed open_clip package, which is not imported (it needs torchvision)."""
    spec = importlib.util.find_spec("open_clip")
    if spec is not None and spec.origin is not None:
        path = Path(spec.origin).parent / "bpe_simple_vocab_16e6.txt.gz"
        if path.is_file():
            return path
    raise ConversionError(
        "vocabulary: the source has none; install it with 'pip install --no-deps open_clip_torch' or name "
        "bpe_simple_vocab_16e6.txt.gz with --bpe"
    )


def from_ids(ids: dict[str, int], merges: Sequence[str]) -> Vocabulary:
    """token -> id, as Hugging Face writes it; ids must be 0 .. n - 1."""
    tokens = sorted(ids, key=lambda token: ids[token])
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ConversionError("vocabulary: expected ids from 0 without a gap")
    if START not in ids or END not in ids:
        raise ConversionError(f"vocabulary: expected the tokens {START} and {END}")
    check_merges(merges, tokens)
    return Vocabulary(tokens, list(merges), ids[START], ids[END])


def read_huggingface(folder: Path) -> Vocabulary | None:
    """vocab.json and merges.txt, else tokenizer.json; None where the folder has neither."""
    if is_present(folder / "vocab.json") and is_present(folder / "merges.txt"):
        lines = lines_of(read_text(folder / "merges.txt"))
        merges = [line for line in lines if line and not line.startswith("#version")]
        return from_ids(read_json(folder / "vocab.json"), merges)
    if is_present(folder / "tokenizer.json"):
        model = read_json(folder / "tokenizer.json")["model"]
        if model.get("type", "BPE") != "BPE" or model.get("end_of_word_suffix", END_OF_WORD) != END_OF_WORD:
            raise ConversionError(f"{folder / 'tokenizer.json'}: expected byte-pair encoding with '{END_OF_WORD}'")
        merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
        return from_ids(model["vocab"], merges)
    return None


class Merges:
    """Which pairs of tokens merge, by their ids, and which first."""

    def __init__(self) -> None:
        self.ranks: dict[tuple[int, int], int] = {}
        self.merged: list[int] = []  # by rank: what the pair becomes

    def add(self, pair: tuple[int, int], merged: int) -> None:
        if pair not in self.ranks:
            self.ranks[pair] = len(self.merged)
            self.merged.append(merged)


class _Word:
    """Symbols that merge in place. Pairs wait by rank and position, n log n in all: to look through the word once for
    each merge is quadratic. A pair that has been torn apart meanwhile has another rank when its turn comes."""

    def __init__(self, symbols: Sequence[int], merges: Merges) -> None:
        n = len(symbols)
        self.symbols: list[int | None] = [*symbols, None]
        self.previous, self.next = list(range(-1, n)), list(range(1, n + 2))
        self.merges = merges
        self.waiting: list[tuple[int, int]] = []
        for i in range(n - 1):
            self.consider(i)

    def rank(self, left: int) -> int | None:
        """Of the pair that begins there; none where the word has ended or the symbol has gone."""
        if self.symbols[left] is None:
            return None
        return self.merges.ranks.get((self.symbols[left], self.symbols[self.next[left]]))

    def consider(self, left: int) -> None:
        if (rank := self.rank(left)) is not None:
            heappush(self.waiting, (rank, left))

    def merge_lowest(self) -> None:
        """All occurrences of the earliest pair, from the left; what arises is considered after the last of them."""
        lowest = self.waiting[0][0]
        changed = []
        while self.waiting and self.waiting[0][0] == lowest:
            left = heappop(self.waiting)[1]
            if self.rank(left) != lowest:
                continue
            right = self.next[left]
            self.symbols[left], self.symbols[right] = self.merges.merged[lowest], None
            self.next[left] = self.next[right]
            self.previous[self.next[left]] = left
            changed.append(left)
        for left in changed:
            if self.previous[left] >= 0:
                self.consider(self.previous[left])
            self.consider(left)


def merge_word(symbols: Sequence[int], merges: Merges) -> list[int]:
    """simple_tokenizer.py, bpe(): all occurrences of the earliest pair, again and again."""
    word = _Word(symbols, merges)
    while word.waiting:
        word.merge_lowest()
    return [symbol for symbol in word.symbols if symbol is not None]


def _letters(token: str) -> list[str]:
    if token == END_OF_WORD or not token.endswith(END_OF_WORD):
        return list(token)
    *letters, last = token.removesuffix(END_OF_WORD)
    return [*letters, last + END_OF_WORD]


def recover_merges(tokens: Sequence[str]) -> list[str]:
    """What merging a token's letters with the earlier merges leaves is the pair that made it."""
    ids: dict[str, int] = {}
    for i, token in enumerate(tokens):
        ids.setdefault(token, i)
    merges = Merges()
    for token in tokens:
        symbols = [ids.get(letter, -1) for letter in _letters(token)]
        if len(symbols) < 2 or -1 in symbols:
            continue
        pair = merge_word(symbols, merges)
        if len(pair) == 2:
            merges.add((pair[0], pair[1]), ids[token])
    return [f"{tokens[left]} {tokens[right]}" for left, right in merges.ranks]
