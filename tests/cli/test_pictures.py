"""`clipon preprocess` gives Pillow's bytes for a picture of every mode (golden/make_pictures.py)."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import GOLDEN, Command

EXPECTED = np.load(GOLDEN / "pictures.npz")


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
    if name.endswith(".jpg") and not clipon32.has_turbojpeg:
        assert difference.mean() <= 2.0  # stb_image's own inverse transform and chroma interpolation
    else:
        assert difference.max() == 0, (
            f"{(difference > 0).mean():.3f} of the bytes differ, by {difference.max()} at most"
        )
