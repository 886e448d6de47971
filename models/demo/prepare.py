#!/usr/bin/env python3
"""Writes DATA/pairs: for each vendor the pictures (RGBA, 96 px) and their names. prepare.py DATA [VENDOR...]"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from concepts import choose_held_out, read_concepts
from openclipart import read_openclipart
from sources import emoji_vendors
from tqdm import tqdm


def store(folder: Path, name: str, style: str, pictures: list[np.ndarray], metas: list[dict]) -> None:
    np.save(folder / f"{name}_rgba.npy", np.stack(pictures))
    listing = {"vendor": name, "style": style, "count": len(metas), "images": metas}
    (folder / f"{name}.json").write_text(json.dumps(listing, ensure_ascii=False, indent=0))
    held_out = sum(meta["heldout"] for meta in metas)
    print(f"{name}: {len(metas)} pictures, {held_out} of concepts kept from training", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("vendors", nargs="*", help="all when absent")
    options = parser.parse_args()
    folder = options.data / "pairs"
    folder.mkdir(exist_ok=True)
    concepts = read_concepts(options.data)
    held_out = choose_held_out(concepts)
    print(f"{len(concepts)} emoji, {len(held_out)} of them kept from training")
    for vendor in emoji_vendors(options.data):
        if options.vendors and vendor.name not in options.vendors:
            continue
        pictures, metas = [], []
        for key, concept in tqdm(concepts.items(), desc=vendor.name, disable=None):
            try:
                pictures.append(vendor.load(concept))
            except (LookupError, OSError):
                continue  # this vendor has no picture of it
            meta = {name: getattr(concept, name) for name in ("concept", "name", "keywords", "is_flag", "flip_ok")}
            origin = {"source": vendor.source, "license": vendor.license}
            metas.append({**meta, **origin, "heldout": key in held_out, "kind": "emoji"})
        store(folder, vendor.name, vendor.style, pictures, metas)
    if not options.vendors or "openclipart" in options.vendors:
        names = {concepts[key].name for key in held_out}
        pictures, metas, left_out = read_openclipart(options.data, names)
        store(folder, "openclipart", "clip art", pictures, metas)
        print(f"openclipart left out: {dict(left_out)}")


if __name__ == "__main__":
    main()
