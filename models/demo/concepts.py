"""Emoji as concepts: code points, English name, keywords, category; and which concepts are kept from training."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

SKIN_TONES = {"1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF"}
JOINERS_AND_GENDERS = {"200D", "2640", "2642", "27A1", "1F468", "1F469", "1F9D1"}
GENERIC_KEYWORDS = {"other", "emoji", "icon", "symbol"}
RENAMED = {  # names that the keyword list gets wrong
    "0023-20E3": "keycap hash",
    "002A-20E3": "keycap asterisk",
    "1F935": "person in tuxedo",
    "1F9D4": "person with beard",
}
NO_FLIP_GROUPS = {"time", "book-paper", "mail", "office", "money", "computer", "clock"}
NO_FLIP_NAMES = re.compile(
    r"\b(left|right|arrows?|clock|letter|keycap|button|sign|east|west|o.clock|thirty|mark|square|circled|japanese|"
    r"keys?cap|book|calendar|abcd?|date|numbers?|input|playback|forward|back|soon|end|top|on!|play|watch|"
    r"fountain pen)\b"
)
HELD_OUT_SHARE, HELD_OUT_SEED = 0.15, 20240


@dataclass
class Concept:
    concept: str  # code points in hex, without variation selectors
    family: str  # the same without skin, gender and joiners: variants belong together
    name: str
    keywords: list[str]
    group: str
    subgroup: str
    is_flag: bool
    file: str
    flip_ok: bool = field(default=True)


def key_of(code_points: str) -> str:
    return "-".join(part for part in code_points.upper().split("-") if part != "FE0F")


def without_zeros(key: str) -> str:
    return "-".join(part.lstrip("0") or "0" for part in key.split("-"))


def family_of(key: str) -> str:
    core = [part for part in key.split("-") if part not in JOINERS_AND_GENDERS]
    return "-".join(core) if core else key


def clean(text: str) -> str:
    text = re.sub("[\u2018\u2019]", "'", re.sub('["\u201c\u201d]', "", text))
    return re.sub(r"\s+", " ", re.sub(r"[_\u2013\u2014]", " ", text)).strip().lower()


def name_of(entry: dict, keywords: list[str]) -> str:
    if entry["category"] == "Flags" and entry["subcategory"] == "country-flag" and clean(entry["name"]):
        return "flag of " + re.sub(r" flag$", "", clean(entry["name"]))
    return keywords[0] if keywords else clean(entry["name"])


def read_concepts(data: Path) -> dict[str, Concept]:
    listing = json.loads((data / "npm/emoji-datasource-google-16.0.0/package/emoji.json").read_text())
    library = json.loads((data / "npm/emojilib-4.0.3/package/dist/emoji-en-US.json").read_text())
    words = {without_zeros(key_of("-".join(f"{ord(c):X}" for c in emoji))): kw for emoji, kw in library.items()}
    concepts: dict[str, Concept] = {}
    for entry in listing:
        key = key_of(entry["unified"])
        parts = key.split("-")
        if entry["category"] == "Component" or (len(parts) > 1 and SKIN_TONES.intersection(parts)):
            continue
        cleaned = [clean(word) for word in words.get(without_zeros(key), [])]
        # the list has lost its apostrophes: "o clock", "mrs claus s"
        keywords = [re.sub(r"\bo clock\b", "o'clock", re.sub(r"(\w{2,}) s\b", r"\1's", word)) for word in cleaned]
        name = RENAMED.get(key, name_of(entry, keywords))
        others = [w for w in keywords[1:] if w not in GENERIC_KEYWORDS and w != name and re.search(r"[a-z]{2}", w)]
        for short_name in entry["short_names"]:
            word = clean(short_name.replace("-", " "))
            if word != name and re.search(r"[a-z]{3}", word):
                others.append(word)
        is_flag = entry["category"] == "Flags"
        fixed = is_flag or entry["category"] == "Symbols" or entry["subcategory"] in NO_FLIP_GROUPS
        concepts[key] = Concept(
            concept=key,
            family=family_of(key),
            name=name,
            keywords=list(dict.fromkeys(others)),
            group=entry["category"],
            subgroup=entry["subcategory"],
            is_flag=is_flag,
            file=entry["image"],
            flip_ok=not (fixed or NO_FLIP_NAMES.search(name)),
        )
    return concepts


def choose_held_out(concepts: dict[str, Concept]) -> set[str]:
    """15 % of the families of each subgroup, flags never; always the same ones."""
    rng = random.Random(HELD_OUT_SEED)
    families: dict[str, list[Concept]] = {}
    for concept in concepts.values():
        if not concept.is_flag:
            families.setdefault(concept.family, []).append(concept)
    subgroups: dict[tuple[str, str], list[str]] = {}
    for family, members in families.items():
        subgroups.setdefault((members[0].group, members[0].subgroup), []).append(family)
    held_out: set[str] = set()
    quota = 0.0
    for names in subgroups.values():
        order = sorted(names)
        rng.shuffle(order)
        quota += HELD_OUT_SHARE * sum(len(families[name]) for name in order)
        for name in order:
            members = families[name]
            if quota >= len(members) * 0.5:
                held_out.update(member.concept for member in members)
                quota -= len(members)
            if quota < 0.5:
                break
    return held_out
