#!/usr/bin/env python3
"""What each way of computing a ModifiedResNet costs in accuracy, in plain PyTorch, before and beside clipon's kernels.

    resnet_precision.py RN50 --clipon build/release/clipon [--work DIR] [--schemes NAME...]
    resnet_precision.py convolution       # the error of one, by the points of its transforms

The reference's pictures (golden/inputs) through made-up weights (golden/make_checkpoint.py), with maps, weights and
Winograd's intermediate values rounded as the scheme says; against golden/features: relative L2 error of the worst
picture, its cosine, and the cosine after the mean embedding is removed. Schemes:

    f32            nothing rounded
    winograd2, winograd4   the same by Winograd, 2 or 4 outputs a tile each way
    bf16           maps and weights bf16
    bf16-winograd2, bf16-winograd4   transformed tiles and weights bf16 too
    int8-map       weights int8 by output channel, maps by one scale a picture; the first convolution f32
    int8-pixel     1 x 1 convolutions with a scale a pixel, 3 x 3 ones with one a picture
    int8-winograd2, int8-winograd4   1 x 1 as int8-pixel, 3 x 3 as bf16-winograd
    int8-tiles2, int8-tiles4   the same, but transformed tiles of 128 channels and more as bytes with a scale a tile and
                   position, and their weights with a scale an output channel and position
    int8-balanced  what clipon computes without AMX: as int8-tiles4, but 2 outputs a tile below 14 pixels a side; in a
                   tower of more than 26 bottlenecks bf16 from 28 pixels a side on and 2 outputs below; and weights
                   rounded so that the errors of an output channel cancel
    int8-amx       what clipon computes on AMX's tiles in a tower of at most 26 bottlenecks: where int8-balanced has
                   bytes by Winograd direct ones with one scale a picture, where it has bf16 the same direct
    int8-calibrated, int8-calibrated-maps   fixed scales, so that a convolution could write the bytes that the next one
                   reads: 1.25 times the greatest value in the other half of the pictures, of each channel (which the
                   weights take up) and of the tensor, their geometric mean; what is added to a bottleneck's output
                   stays bf16, or is such bytes too
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

TESTS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS / "reference"))
from check_reference import GOLDEN, convert  # noqa: E402

SCHEMES = [
    "f32", "winograd2", "winograd4", "bf16", "bf16-winograd2", "bf16-winograd4", "int8-map", "int8-pixel",
    "int8-winograd2", "int8-winograd4", "int8-tiles2", "int8-tiles4", "int8-balanced", "int8-amx", "int8-calibrated",
    "int8-calibrated-maps",
]  # fmt: skip
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
POINTS = {2: (0, 1, -1), 4: (0, 0.625, -0.625, 1.5, -1.5)}  # of Winograd's transforms, by outputs; and infinity
MOST_BOTTLENECKS = 26  # kMostBottlenecksInt8

Rounding = Callable[[torch.Tensor], torch.Tensor]


def exact(x: torch.Tensor) -> torch.Tensor:
    return x


def bf16(x: torch.Tensor) -> torch.Tensor:
    return x.to(torch.bfloat16).float()


def to_bytes(x: torch.Tensor, axes: tuple[int, ...]) -> torch.Tensor:
    """Maps that are not negative, as 0..255 with one scale over `axes`."""
    scale = x.amax(dim=axes, keepdim=True).clamp(min=1e-30) / 255
    return torch.round(x / scale) * scale


def to_bytes_with_zero(x: torch.Tensor) -> torch.Tensor:
    """Rows of any sign, as 0..255 with one scale and zero point a row."""
    least, greatest = x.amin(-1, keepdim=True).clamp(max=0), x.amax(-1, keepdim=True).clamp(min=0)
    scale = ((greatest - least) / 255).clamp(min=1e-30)
    zero = torch.round(-least / scale)
    return ((torch.round(x / scale) + zero).clamp(0, 255) - zero) * scale


def to_signed_bytes(w: torch.Tensor, balanced: bool = False) -> torch.Tensor:
    """w [..., inputs] as -127..127 with a scale a row; balanced: the row's errors sum to half a step at most, by
    rounding those next to a tie the other way."""
    scale = w.abs().amax(-1, keepdim=True).clamp(min=1e-30) / 127
    steps = torch.round(w / scale)
    if balanced:
        error = w / scale - steps
        owed = torch.round(error.sum(-1, keepdim=True))
        rank = error.argsort(-1, descending=True).argsort(-1)
        steps += (rank < owed).float() - (rank >= w.shape[-1] + owed).float()
    return steps * scale


def matrices(points: tuple[float, ...]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """B^T, G and A^T of Winograd's convolution of 3 taps by its finite points: kernels/reference.hpp, in numpy."""
    others = [[q for q in points if q != p] for p in points]
    bt = [np.poly(rest)[::-1] for rest in others]
    g = [[p**k / np.prod([p - q for q in rest]) for k in range(3)] for p, rest in zip(points, others, strict=True)]
    at = [[float(p) ** k for p in points] + [float(k == len(points) - 2)] for k in range(len(points) - 1)]
    rows = np.stack([*(np.append(row, 0) for row in bt), np.poly(points)[::-1]])
    return torch.tensor(rows).float(), torch.tensor([*g, [0, 0, 1]]).double(), torch.tensor(at).float()


def winograd(
    x: torch.Tensor, w: torch.Tensor, points: tuple[float, ...], rounded: Rounding, weights_rounded: Rounding
) -> torch.Tensor:
    m, n = len(points) - 1, len(points) + 1
    bt, g, at = matrices(points)
    weights = weights_rounded(torch.einsum("ai,bj,ocij->aboc", g, g, w.double()).float()).reshape(n * n, *w.shape[:2])
    pictures, channels, height, width = x.shape
    down, across = (height + m - 1) // m, (width + m - 1) // m
    padded = F.pad(x, (1, across * m - width + 1, 1, down * m - height + 1))
    tiles = padded.unfold(2, n, m).unfold(3, n, m)  # [pictures, channels, down, across, n, n]
    rows = rounded(torch.einsum("ai,bj,nctwij->abntwc", bt, bt, tiles)).reshape(n * n, -1, channels)
    sums = torch.matmul(rows, weights.transpose(1, 2)).reshape(n, n, pictures, down, across, -1)
    out = torch.einsum("ya,xb,abntwo->notywx", at, at, sums)
    return out.reshape(pictures, -1, down * m, across * m)[:, :, :height, :width]


class ModifiedResNet:
    def __init__(self, weights: dict[str, torch.Tensor], scheme: str) -> None:
        self.weights, self.scheme = weights, scheme
        self.bottlenecks = sum(name.endswith(".conv3.weight") for name in weights)
        self.steps: dict[str, torch.Tensor] = {}  # of each tensor's bytes, by channel
        self.calibrating = False
        self.rounded = exact if scheme in ("f32", "winograd2", "winograd4") else bf16

    def calibrated(self, x: torch.Tensor, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """x as bytes and their steps; as it is and 1 while calibrating."""
        if self.calibrating:
            greatest = x.amax((0, 2, 3), keepdim=True).clamp(min=1e-4 * x.max())
            self.steps[name] = 1.25 * torch.sqrt(greatest * x.max()) / 255
            return x, torch.ones(1)
        return torch.round(x / self.steps[name]).clamp(max=255), self.steps[name]

    def product(self, x: torch.Tensor, w: torch.Tensor, name: str) -> torch.Tensor:
        kernel = w.shape[-1]
        if self.scheme.startswith("int8-calibrated"):
            if ".layer" not in name:
                return F.conv2d(x, self.rounded(w), padding=1)
            x, steps = self.calibrated(x, name)
            return F.conv2d(x, to_signed_bytes((w * steps).flatten(1), True).reshape(w.shape), padding=kernel // 2)
        amx = self.scheme == "int8-amx"
        balanced = amx or self.scheme == "int8-balanced"

        def signed(weights: torch.Tensor) -> torch.Tensor:
            return to_signed_bytes(weights, balanced)

        if kernel == 3 and ("tiles" in self.scheme or balanced):
            deep, large = balanced and self.bottlenecks > MOST_BOTTLENECKS, x.shape[2] >= 28
            in_bytes = w.shape[1] >= 128 and not (deep and large)
            least = 14 if in_bytes and not deep else 28  # pixels a side, for 4 outputs
            m = (4 if x.shape[2] >= least else 2) if balanced else int(self.scheme[-1])
            if amx:
                kept = signed(w.flatten(1)).reshape(w.shape) if in_bytes else self.rounded(w)
                return F.conv2d(to_bytes(x, (1, 2, 3)) if in_bytes else x, kept, padding=1)
            if in_bytes:
                return winograd(x, w, POINTS[m], to_bytes_with_zero, signed)
            return winograd(x, w, POINTS[m], self.rounded, self.rounded)
        if kernel == 3 and "winograd" in self.scheme:
            return winograd(x, w, POINTS[int(self.scheme[-1])], self.rounded, self.rounded)
        if self.scheme.startswith("int8"):
            by_pixel = kernel == 1 and self.scheme != "int8-map"
            weights = signed(w.flatten(1)).reshape(w.shape)
            return F.conv2d(to_bytes(x, (1,) if by_pixel else (1, 2, 3)), weights, padding=kernel // 2)
        return F.conv2d(x, self.rounded(w), padding=kernel // 2)

    def conv(
        self, x: torch.Tensor, name: str, norm: str, add: torch.Tensor | None = None, relu: bool = True
    ) -> torch.Tensor:
        get = self.weights.__getitem__
        gain = get(norm + ".weight").double() / torch.sqrt(get(norm + ".running_var").double() + 1e-5)
        w = (get(name + ".weight").double() * gain.view(-1, 1, 1, 1)).float()
        bias = (get(norm + ".bias").double() - get(norm + ".running_mean").double() * gain).float()
        y = F.conv2d(x, w, stride=2, padding=1) if w.shape[1] == 3 else self.product(x, w, name)
        y = y + bias.view(1, -1, 1, 1) + (0 if add is None else add)
        return self.rounded(F.relu(y) if relu else y)

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        return self.rounded(F.avg_pool2d(x, 2))

    def attention_pool(self, x: torch.Tensor) -> torch.Tensor:
        def project(t: torch.Tensor, name: str) -> torch.Tensor:
            weight, bias = (self.weights[f"visual.attnpool.{name}_proj.{part}"] for part in ("weight", "bias"))
            return F.linear(self.rounded(t), self.rounded(weight), bias)

        tokens = x.flatten(2).transpose(1, 2)  # [pictures, positions, channels]
        tokens = torch.cat([tokens.mean(1, keepdim=True), tokens], 1)
        tokens = tokens + self.weights["visual.attnpool.positional_embedding"]
        q, k, v = (
            project(t, name).unflatten(2, (-1, 64)).transpose(1, 2)
            for t, name in ((tokens[:, :1], "q"), (tokens, "k"), (tokens, "v"))
        )
        return project(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)[:, 0], "c")

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        for i in (1, 2, 3):
            x = self.conv(x, f"visual.conv{i}", f"visual.bn{i}")
        x = self.pool(x)
        for stage in (1, 2, 3, 4):
            n = 0
            while (p := f"visual.layer{stage}.{n}") + ".conv1.weight" in self.weights:
                strided = stage > 1 and n == 0
                y = self.conv(self.conv(x, p + ".conv1", p + ".bn1"), p + ".conv2", p + ".bn2")
                if strided:
                    x, y = self.pool(x), self.pool(y)
                if n == 0:
                    x = self.conv(x, p + ".downsample.0", p + ".downsample.1", relu=False)
                x = self.conv(y, p + ".conv3", p + ".bn3", add=x)
                if self.scheme == "int8-calibrated-maps":
                    x = torch.mul(*self.calibrated(x, p))
                n += 1
        return self.attention_pool(x)


def embed(weights: dict[str, torch.Tensor], scheme: str, x: torch.Tensor) -> torch.Tensor:
    if "calibrated" not in scheme:
        return ModifiedResNet(weights, scheme)(x)
    halves = []
    for half in (0, 1):  # each by the scales of the other
        tower = ModifiedResNet(weights, scheme)
        tower.calibrating = True
        tower(x[1 - half :: 2])
        tower.calibrating = False
        halves.append(tower(x[half::2]))
    found = torch.empty(len(x), halves[0].shape[1])
    found[0::2], found[1::2] = halves
    return found


def one_convolution() -> None:
    """Relative error of a 3 x 3 convolution of smooth noise after a ReLU, 128 maps of 28 x 28: bf16 and bytes."""
    torch.manual_seed(1)
    noise = F.avg_pool2d(torch.randn(4, 128, 28, 28), 3, stride=1, padding=1, count_include_pad=False)
    x, w = bf16(F.relu(noise)), torch.randn(128, 128, 3, 3)
    exactly = F.conv2d(x.double(), w.double(), padding=1)
    signed = to_signed_bytes(w.flatten(1), True).reshape(w.shape)
    direct = {
        "bf16": F.conv2d(x, bf16(w), padding=1),
        "bytes, a scale a picture": F.conv2d(to_bytes(x, (1, 2, 3)), signed, padding=1),
    }
    print("direct:", ", ".join(f"{name} {(y - exactly).norm() / exactly.norm():.1e}" for name, y in direct.items()))
    for points in (POINTS[2], (0, 1, -1, 2, -2), POINTS[4]):
        m = len(points) - 1
        found = {
            "bf16": winograd(x, w, points, bf16, bf16),
            "bytes": winograd(x, w, points, to_bytes_with_zero, lambda rows: to_signed_bytes(rows, True)),
        }
        errors = (f"{name} {(y - exactly).norm() / exactly.norm():.1e}" for name, y in found.items())
        print(f"{m} x {m} outputs, points {points}: {', '.join(errors)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture")
    parser.add_argument("--clipon", type=Path)
    parser.add_argument("--work", type=Path, help="where the checkpoint is kept; a temporary folder when absent")
    parser.add_argument("--schemes", nargs="+", choices=SCHEMES, default=SCHEMES)
    options = parser.parse_args()
    if options.architecture == "convolution":
        return one_convolution()
    if options.clipon is None:
        parser.error("--clipon: where the command is")
    golden = np.load(GOLDEN / "features" / f"{options.architecture}.npz")
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        model = convert(options.architecture, work)
        pictures = []
        for name in golden["image_names"]:
            command = [options.clipon, "--model", model, "preprocess", GOLDEN / "inputs/images" / str(name)]
            subprocess.run([*command, "-o", work / "pixels.npy"], check=True, capture_output=True)
            pictures.append(np.load(work / "pixels.npy"))
        weights = load_file(work / f"{options.architecture}.safetensors")
    x = torch.tensor(np.stack(pictures)).float().permute(0, 3, 1, 2) / 255
    x = (x - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)
    expected = torch.tensor(golden["image_features"])
    for scheme in options.schemes:
        with torch.no_grad():
            found = embed(weights, scheme, x)
        error = ((found - expected).norm(dim=1) / expected.norm(dim=1)).max()
        cosine = F.cosine_similarity(found, expected).min()
        centred = F.cosine_similarity(found - expected.mean(0), expected - expected.mean(0)).min()
        print(f"{scheme:20} error {error:.1e}  cosine {cosine:.6f}  centred {centred:.5f}", flush=True)


if __name__ == "__main__":
    main()
