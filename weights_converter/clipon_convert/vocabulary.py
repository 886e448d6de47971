"""Vocabularies: OpenAI's merges file, a Hugging Face tokenizer, the tokens of a clip.cpp file."""

from __future__ import annotations

import gzip
import importlib.util
import io
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from clipon_convert.checkpoint import Vocabulary
from clipon_convert.errors import ConversionError
from clipon_convert.files import MAX_TEXT_BYTES, is_present, read_bytes, read_json, read_text

OPENAI_MERGES = 49152 - 256 - 2  # simple_tokenizer.py keeps so many lines of bpe_simple_vocab_16e6
END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"


def byte_alphabet() -> list[str]:
    """The 256 characters that stand for bytes, in the vocabulary's order (simple_tokenizer.py, bytes_to_unicode)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)]
    return [chr(byte) for byte in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def from_merges(merges: Sequence[str]) -> Vocabulary:
    """Bytes, bytes at a word's end, one token a merge, start and end."""
    for merge in merges:
        if len(merge.split(" ")) != 2:
            raise ConversionError(f"vocabulary: expected a merge 'left right', found '{merge[:40]}'")
    alphabet = byte_alphabet()
    tokens = [*alphabet, *(letter + END_OF_WORD for letter in alphabet)]
    tokens += [merge.replace(" ", "") for merge in merges] + [START, END]
    return Vocabulary(tokens, list(merges), len(tokens) - 2, len(tokens) - 1)


def read_merges_file(path: Path, vocabulary_size: int) -> Vocabulary:
    """bpe_simple_vocab_16e6.txt(.gz) or its like: a header line, then a merge a line; as many as the model has."""
    data = read_bytes(path, MAX_TEXT_BYTES)
    if data.startswith(b"\x1f\x8b"):
        with gzip.open(io.BytesIO(data)) as file:
            data = file.read(MAX_TEXT_BYTES + 1)  # no compression bombs
    if len(data) > MAX_TEXT_BYTES:
        raise ConversionError(f"{path}: expected at most {MAX_TEXT_BYTES} bytes of merges, found more")
    lines = data.decode("utf-8").split("\n")[1:]
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
    return Vocabulary(tokens, list(merges), ids[START], ids[END])


def read_huggingface(folder: Path) -> Vocabulary | None:
    """vocab.json and merges.txt, else tokenizer.json; None where the folder has neither."""
    if is_present(folder / "vocab.json") and is_present(folder / "merges.txt"):
        lines = read_text(folder / "merges.txt").split("\n")
        merges = [line for line in lines if line and not line.startswith("#version")]
        return from_ids(read_json(folder / "vocab.json"), merges)
    if is_present(folder / "tokenizer.json"):
        model = read_json(folder / "tokenizer.json")["model"]
        if model.get("type", "BPE") != "BPE" or model.get("end_of_word_suffix", END_OF_WORD) != END_OF_WORD:
            raise ConversionError(f"{folder / 'tokenizer.json'}: expected byte-pair encoding with '{END_OF_WORD}'")
        merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
        return from_ids(model["vocab"], merges)
    return None


def merge_word(symbols: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """simple_tokenizer.py, bpe(): all occurrences of the earliest pair, again and again."""
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            return symbols
        merged, i = [], 0
        while i < len(symbols):
            if symbols[i : i + 2] == list(best):
                merged.append(best[0] + best[1])
                i += 2
            else:
                merged.append(symbols[i])
                i += 1
        symbols = merged
    return symbols


def recover_merges(tokens: Sequence[str]) -> list[str]:
    """What merging a token's letters with the earlier merges leaves is the pair that made it."""
    ranks: dict[tuple[str, str], int] = {}
    known = set(tokens)
    for token in tokens:
        letters = list(token.removesuffix(END_OF_WORD)) if token != END_OF_WORD else list(token)
        if token.endswith(END_OF_WORD) and letters:
            letters[-1] += END_OF_WORD
        if len(letters) < 2 or any(letter not in known for letter in letters):
            continue
        pair = merge_word(letters, ranks)
        if len(pair) == 2:
            ranks[(pair[0], pair[1])] = len(ranks)
    return [f"{left} {right}" for left, right in ranks]
