"""The types that weights are stored in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader

from clipon_convert.dtypes import from_bf16, quantise, store, to_bf16
from clipon_convert.errors import ConversionError
from clipon_convert.tensors import Tensor
from conftest import convert


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "int8"])
def test_types(source: Path, bpe: Path, tmp_path: Path, weights: dict[str, np.ndarray], dtype: str) -> None:
    out = tmp_path / "a.gguf"
    assert convert(source, out, "--bpe", bpe, "--dtype", dtype).returncode == 0
    tensors = {t.name: t for t in GGUFReader(out).tensors}
    expected = weights["visual.transformer.resblocks.0.mlp.c_fc.weight"]
    matrix = tensors["v.blk.0.ffn_down.weight"]
    if dtype == "int8":
        scale = tensors["v.blk.0.ffn_down.weight.scale"].data
        found = matrix.data.astype(np.float32) * scale[:, None]
        assert (np.abs(found - expected).max(axis=1) <= 0.5001 * scale).all()
        assert tensors["t.token_embd.weight"].tensor_type == GGMLQuantizationType.F16
    elif dtype == "bf16":
        found = from_bf16(matrix.data.view(np.uint16)).reshape(expected.shape)
        assert (np.abs(found - expected) <= np.abs(expected) * 2**-8).all()
    else:
        step = 0.0 if dtype == "f32" else 2**-11
        # half an ulp; below 2^-14 f16 is subnormal with steps of 2^-24
        assert (np.abs(matrix.data.astype(np.float32) - expected) <= np.abs(expected) * step + 2**-25).all()
    assert tensors["v.blk.0.ffn_down.bias"].tensor_type == GGMLQuantizationType.F32


def test_tables_and_vectors_stay_f32(source: Path, bpe: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.gguf"
    assert convert(source, out, "--bpe", bpe, "--dtype", "f16").returncode == 0
    for tensor in GGUFReader(out).tensors:
        table = tensor.name.endswith("position_embd.weight") or len(tensor.shape) == 1
        assert tensor.tensor_type == (GGMLQuantizationType.F32 if table else GGMLQuantizationType.F16), tensor.name


def test_bf16_rounds_to_nearest_even() -> None:
    bits = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x3F7FFFFF], np.uint32)
    assert to_bf16(bits.view(np.float32)).tolist() == [0x3F80, 0x3F82, 0x3F81, 0x3F80]


def test_quantise_rows_of_zeros() -> None:
    with np.errstate(all="raise"):
        values, scale = quantise(np.array([[0.0, 0.0], [-2.0, 1.0]], np.float32))
    assert values.tolist() == [[0, 0], [-127, 64]]
    assert scale.tolist() == [0.0, pytest.approx(2 / 127)]


def test_quantise_subnormal_rows() -> None:
    """A scale of one step, 2^-149: 180 / 127 rounded. The quotients then go beyond int8."""
    values, scale = quantise(np.array([[180, -180, 3], [180, -128, 0]], np.float32) * np.float32(2**-149))
    assert values.tolist() == [[127, -127, 3], [127, -127, 0]]
    assert scale.tolist() == [2**-149, 2**-149]


def test_quantise_scales_convolutions_by_output_channel() -> None:
    weights = np.array([[[[127, -1], [2, -3]]], [[[254, -2], [4, -6]]]], np.float32)
    values, scale = quantise(weights)
    assert scale.tolist() == [1, 2]
    assert values.tolist() == [[[[127, -1], [2, -3]]]] * 2


@pytest.mark.parametrize(("dtype", "limit"), [("f16", 65504.0), ("bf16", 1e38), ("f32", 1e38)])
def test_the_largest_weights_of_a_type(dtype: str, limit: float) -> None:
    stored = next(store(Tensor("w", np.array([[limit, -limit]], np.float32), True), dtype))
    assert (np.isfinite(stored.data.astype(np.float32))).all()
    if dtype == "bf16":
        largest = float(from_bf16(np.array([0x7F7F], np.uint16))[0])
        store_one = next(store(Tensor("w", np.array([[largest, -largest]], np.float32), True), dtype))
        assert store_one.data.tolist() == [[0x7F7F, 0xFF7F]]
        for beyond in (3.3961776e38, -3.3961776e38):  # half a step more rounds to infinity
            with pytest.raises(ConversionError, match="tensor 'w': a weight is too large for bf16; use --dtype f32"):
                next(store(Tensor("w", np.array([[beyond]], np.float32), True), dtype))
    if dtype == "f16":
        assert stored.data.tolist() == [[65504, -65504]]
        for beyond in (65520.0, -65520.0):  # half a step more rounds to infinity
            with pytest.raises(ConversionError, match="tensor 'w': a weight is too large for f16"):
                next(store(Tensor("w", np.array([[beyond]], np.float32), True), dtype))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("is_matrix", [False, True])
def test_weights_that_are_not_finite(value: float, is_matrix: bool) -> None:
    with pytest.raises(ConversionError, match="tensor 'w': expected finite weights"):
        next(store(Tensor("w", np.array([[1, value]], np.float32), is_matrix), "f32"))
