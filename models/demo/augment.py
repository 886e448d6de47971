"""How pictures vary in training: place, background, colour, the hand that draws. RGBA bytes in, normalised RGB out."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(1, 3, 1, 1)  # OpenAI's
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(1, 3, 1, 1)


def premultiplied(rgba: np.ndarray) -> Tensor:
    """uint8 [n, h, w, 4], straight alpha -> float [n, 4, h, w] with colours times alpha"""
    x = torch.from_numpy(rgba).permute(0, 3, 1, 2).float() / 255
    return torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1)


def on_white(rgba: np.ndarray, size: int) -> Tensor:
    """As the evaluation sees them: antialiased bicubic, on white."""
    x = F.interpolate(premultiplied(rgba), size=(size, size), mode="bicubic", antialias=True).clamp(0, 1)
    return ((x[:, :3] + 1 - x[:, 3:]) - MEAN) / STD


def uniform(n: int, low: float, high: float, *shape: int) -> Tensor:
    return torch.empty(n, *shape).uniform_(low, high)


def place(x: Tensor, size: int, may_flip: Tensor) -> Tensor:
    """Random crop or zoom out, stretch, small turn, mirror."""
    n = len(x)
    area = torch.where(torch.rand(n) < 0.2, uniform(n, 1.0, 1.6), uniform(n, 0.6, 1.0))
    stretch = torch.exp(uniform(n, -0.2, 0.2))
    width, height = (area * stretch).sqrt(), (area / stretch).sqrt()
    left = (torch.rand(n) * 2 - 1) * (1 - width).abs()
    top = (torch.rand(n) * 2 - 1) * (1 - height).abs()
    angle = torch.where(torch.rand(n) < 0.3, uniform(n, -0.2, 0.2), torch.zeros(n))
    mirror = torch.where((torch.rand(n) < 0.5) & may_flip, -1.0, 1.0)
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([width * cos * mirror, -height * sin, left], 1)
    second = torch.stack([width * sin * mirror, height * cos, top], 1)
    grid = F.affine_grid(torch.stack([first, second], 1), [n, 4, size, size], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def backgrounds(n: int, size: int) -> Tensor:
    """White 35 %, plain colour 25 %, linear gradient 25 %, soft noise 15 %."""
    kind = torch.rand(n)
    out = torch.ones(n, 3, size, size)
    colour, other = torch.rand(n, 3, 1, 1), torch.rand(n, 3, 1, 1)
    plain = (kind > 0.35) & (kind <= 0.6)
    out[plain] = colour[plain].expand(-1, -1, size, size)
    gradient = (kind > 0.6) & (kind <= 0.85)
    angle, ramp = torch.rand(n) * 6.2832, torch.linspace(-0.5, 0.5, size)
    along = angle.cos().view(n, 1, 1) * ramp.view(1, 1, size) + angle.sin().view(n, 1, 1) * ramp.view(1, size, 1)
    t = (along + 0.5).clamp(0, 1)[:, None]
    out[gradient] = (colour * (1 - t) + other * t)[gradient]
    noisy = kind > 0.85
    if (k := int(noisy.sum())) > 0:
        noise = F.interpolate(torch.rand(k, 3, 5, 5) - 0.5, size=(size, size), mode="bicubic")
        out[noisy] = (colour[noisy] + 0.5 * noise).clamp(0, 1)
    return out


def vary_colour(x: Tensor) -> Tensor:
    """Brightness, contrast, saturation and small channel gains: names such as "red heart" must stay true."""
    n = len(x)
    x = x * uniform(n, 0.8, 1.2, 1, 1, 1)
    mean = x.mean((1, 2, 3), keepdim=True)
    x = mean + (x - mean) * uniform(n, 0.75, 1.25, 1, 1, 1)
    gray = x.mean(1, keepdim=True)
    x = gray + (x - gray) * uniform(n, 0.7, 1.3, 1, 1, 1)
    return x * uniform(n, 0.94, 1.06, 3, 1, 1)


def edges(x: Tensor) -> Tensor:
    light = F.pad(x.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = light[:, :, 1:-1, 2:] - light[:, :, 1:-1, :-2]
    down = light[:, :, 2:, 1:-1] - light[:, :, :-2, 1:-1]
    return (across.square() + down.square()).sqrt()


def redraw(x: Tensor) -> Tensor:
    """Other hands draw differently: inked edges over a whitened interior, gray, shifted hue, blur, noise."""
    n = len(x)
    inked = torch.rand(n) < 0.35
    if inked.any():
        y = x[inked]
        k = len(y)
        whitened = (y + (1 - y) * torch.rand(k, 1, 1, 1) * 0.85).clamp(0, 1)
        x[inked] = whitened * (1 - (edges(y) * (1 + 3 * torch.rand(k, 1, 1, 1))).clamp(0, 1))
    gray = torch.rand(n) < 0.12
    x[gray] = x[gray].mean(1, keepdim=True).expand(-1, 3, -1, -1)
    hue = torch.rand(n) < 0.3
    x[hue] = 0.75 * x[hue] + 0.25 * x[hue][:, torch.randperm(3)]
    blurred = torch.rand(n) < 0.2
    if blurred.any():
        soft = F.avg_pool2d(F.pad(x[blurred], (1, 1, 1, 1), mode="replicate"), 3, 1)
        x[blurred] = soft * 0.7 + x[blurred] * 0.3
    return x + 0.02 * torch.randn(n, 1, 1, 1) * torch.randn_like(x)


def augment(rgba: np.ndarray, size: int, may_flip: Tensor, is_line_drawing: Tensor) -> Tensor:
    x = place(premultiplied(rgba), size, may_flip)
    ground = backgrounds(len(x), size)
    if (k := int(is_line_drawing.sum())) > 0:  # dark ink of any hue on a light ground
        ground[is_line_drawing] = 0.6 + 0.4 * ground[is_line_drawing]
        ink = 0.3 * torch.rand(k, 3, 1, 1) * (torch.rand(k, 1, 1, 1) < 0.4)
        x[is_line_drawing, :3] = x[is_line_drawing, 3:] * ink
    x = x[:, :3] + ground * (1 - x[:, 3:])
    return (redraw(vary_colour(x)).clamp(0, 1) - MEAN) / STD
