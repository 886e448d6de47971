"""What a picture is called in training: its name, keywords, or both, often inside a sentence."""

from __future__ import annotations

import random
from typing import Any

SENTENCES = (
    "a picture of {}", "an image of {}", "a drawing of {}", "an illustration of {}", "a small picture of {}",
    "{} on a plain background", "a close-up of {}", "this is {}", "one {}", "the {}", "a {}", "a photo of {}",
    "an icon of {}",
)  # fmt: skip
OF_STYLE = {
    "emoji": ("an emoji of {}", "{} emoji", "a symbol of {}", "an icon of {}"),
    "3d emoji": ("a 3d emoji of {}", "a 3d render of {}", "{} emoji"),
    "flat emoji": ("a flat icon of {}", "{} emoji", "a simple drawing of {}"),
    "line drawing": ("a line drawing of {}", "a black and white drawing of {}", "an outline of {}"),
    "clip art": ("clip art of {}", "a cartoon of {}", "a drawing of {}"),
}


def caption(picture: dict[str, Any], rng: random.Random) -> str:
    name, keywords = picture["name"], picture["keywords"]
    draw = rng.random()
    if not keywords or draw < 0.66:
        words = name
    elif draw < 0.82:
        chosen = rng.sample(keywords, min(len(keywords), rng.randint(1, 2)))
        words = name + rng.choice((", ", " ", ", ")) + ", ".join(chosen)
    elif draw < 0.91:
        words = ", ".join(rng.sample(keywords, min(len(keywords), rng.randint(2, 4))))
    else:
        words = rng.choice(keywords)
    if rng.random() < 0.4:
        return words
    style = OF_STYLE.get(picture["style"], ())
    return rng.choice(style if style and rng.random() < 0.3 else SENTENCES).format(words)
