#!/usr/bin/env python3
"""Draws docs/samples.png: the sample pictures with the labels that clipon gives them.

    draw_samples.py CLIPON OUT.png

Runs `CLIPON classify models/samples --labels-file models/samples/labels.txt --top 3 --json`. Needs Pillow and DejaVu.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

SAMPLES = Path(__file__).resolve().parent.parent / "models/samples"
FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"
TILE, TEXT, GAP, COLUMNS = 150, 66, 16, 6
RIGHT, WRONG, INK, BAR = (24, 128, 56), (196, 58, 40), (60, 64, 67), (222, 226, 230)


def main() -> None:
    clipon, out = sys.argv[1], Path(sys.argv[2])
    line = [clipon, "classify", SAMPLES, "--labels-file", SAMPLES / "labels.txt", "--top", "3", "--json"]
    done = subprocess.run([str(part) for part in line], check=True, capture_output=True, text=True)
    results = json.loads(done.stdout)["results"]
    rows = -(-len(results) // COLUMNS)
    size = (COLUMNS * (TILE + GAP) + GAP, rows * (TILE + TEXT + GAP) + GAP)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.truetype(FONT, 13)
    for i, result in enumerate(results):
        x = GAP + i % COLUMNS * (TILE + GAP)
        y = GAP + i // COLUMNS * (TILE + TEXT + GAP)
        with Image.open(result["path"]) as picture:
            canvas.paste(picture.convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS), (x, y))
        truth = Path(result["path"]).stem.replace("-", " ")
        for k, guess in enumerate(result["predictions"]):
            top = y + TILE + 4 + 20 * k
            draw.rectangle((x, top, x + round(TILE * guess["probability"]), top + 17), fill=BAR)
            colour = INK if k > 0 else RIGHT if guess["label"] == truth else WRONG
            draw.text((x + 3, top + 1), f"{100 * guess['probability']:.1f} %  {guess['label']}", fill=colour, font=font)
    canvas.save(out, optimize=True)


if __name__ == "__main__":
    main()
