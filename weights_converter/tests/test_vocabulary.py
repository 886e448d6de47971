"""Tokens and merges."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from clipon_convert.checkpoint import (
    Vocabulary,
)
from clipon_convert.errors import ConversionError
from clipon_convert.vocabulary import (
    Merges,
    find_openai_merges,
    from_ids,
    from_merges,
    merge_word,
    read_huggingface,
    read_merges_file,
    recover_merges,
)
from conftest import (
    MERGES,
    VOCABULARY,
    huggingface_folder,
)


def test_special_tokens_anywhere_in_a_vocabulary() -> None:
    words = from_ids({"<|endoftext|>": 0, "a": 1, "<|startoftext|>": 2}, [])
    assert words == Vocabulary(["<|endoftext|>", "a", "<|startoftext|>"], [], 2, 0)


def test_merges_are_recovered() -> None:
    assert recover_merges(from_merges(MERGES).tokens) == MERGES
    openai = read_merges_file(find_openai_merges(), 49408)
    assert recover_merges(openai.tokens) == openai.merges


def merged_as_openai_does(symbols: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """simple_tokenizer.py, bpe(), line by line: looks through the whole word for each merge."""
    while len(symbols) > 1:
        best = min(pairwise(symbols), key=lambda pair: ranks.get(pair, len(ranks)))
        if best not in ranks:
            break
        merged: list[str] = []
        while symbols:
            taken = 2 if tuple(symbols[:2]) == best else 1
            merged.append("".join(symbols[:taken]))
            symbols = symbols[taken:]
        symbols = merged
    return symbols


def test_words_merge_as_openai_does() -> None:
    """Of two letters, so that pairs overlap and tear one another apart."""
    rng = random.Random(7)
    for _ in range(300):
        tokens, ranks, merges = ["a", "b"], {}, Merges()
        for _ in range(rng.randrange(1, 12)):
            left, right = rng.randrange(len(tokens)), rng.randrange(len(tokens))
            if tokens[left] + tokens[right] not in tokens:
                ranks[tokens[left], tokens[right]] = len(ranks)
                merges.add((left, right), len(tokens))
                tokens.append(tokens[left] + tokens[right])
        word = [rng.randrange(2) for _ in range(rng.randrange(60))]
        expected = merged_as_openai_does([tokens[symbol] for symbol in word], ranks)
        assert [tokens[symbol] for symbol in merge_word(word, merges)] == expected


@pytest.mark.parametrize("merge", ["ab", "a b c", "a  b", "", "x" * 50])
def test_merges_that_are_no_pairs(merge: str) -> None:
    with pytest.raises(ConversionError, match=f"expected a merge 'left right', found '{merge[:40]}'$"):
        from_merges(["a b", merge])


@pytest.mark.parametrize(("size", "found"), [(511, None), (514, 0), (516, 2), (517, 3), (518, None)])
def test_as_many_merges_as_the_model_has(tmp_path: Path, size: int, found: int | None) -> None:
    path = tmp_path / "merges.txt"
    path.write_text("header\na b\nc d\ne f")
    if found is None:
        with pytest.raises(ConversionError, match=f"{path}: expected {size - 514} merges for {size} tokens, found 3"):
            read_merges_file(path, size)
    else:
        assert read_merges_file(path, size).merges == ["a b", "c d", "e f"][:found]


def test_merges_of_what_is_no_token() -> None:
    with pytest.raises(ConversionError, match=r"vocabulary: merge 'ab c': expected a token 'ab', found none$"):
        from_merges(["a b</w>", "ab c"])
    ids = {token: i for i, token in enumerate(["a", "b", "<|startoftext|>", "<|endoftext|>"])}
    with pytest.raises(ConversionError, match=r"vocabulary: merge 'a b': expected a token 'ab', found none$"):
        from_ids(ids, ["a b"])


def test_line_ends_of_windows(weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path) -> None:
    windows = tmp_path / "windows.txt"
    windows.write_bytes(bpe.read_bytes().replace(b"\n", b"\r\n"))
    assert read_merges_file(windows, VOCABULARY).merges == MERGES
    folder = huggingface_folder(weights, tmp_path / "hf")
    (folder / "merges.txt").write_bytes((folder / "merges.txt").read_bytes().replace(b"\n", b"\r\n"))
    found = read_huggingface(folder)
    assert found is not None
    assert found.merges == MERGES


def test_bytes_come_in_openai_s_order() -> None:
    """Printable ones first: !..~, 0xA1..0xAC, 0xAE..0xFF; the 68 others from U+0100 on."""
    tokens = from_merges([]).tokens
    assert len(set(tokens)) == 514
    assert {tokens[i]: i for i in (0, 93, 94, 105, 106, 187, 188, 255)} == {
        "!": 0, "~": 93, "¡": 94, "¬": 105, "®": 106, "ÿ": 187, "Ā": 188, "Ń": 255
    }  # fmt: skip
    assert tokens[256:512] == [letter + "</w>" for letter in tokens[:256]]
    assert tokens[512:] == ["<|startoftext|>", "<|endoftext|>"]


def test_recovered_merges_pass_over_tokens_that_no_merge_makes() -> None:
    """clip.cpp's vocabularies hold special tokens, and may hold one token twice."""
    tokens = ["a", "b", "b</w>", "</w>", "ab", "ab</w>", "abc", "ab", "aabb", "<x>"]
    assert recover_merges(tokens) == ["a b", "a b</w>"]
