"""The table that `clipon evaluate` prints has the numbers of its --json, as many digits of them as it shows."""

from __future__ import annotations

import json
import re
import time

from test_evaluate import PICTURES, evaluate, write_csv

from conftest import SAMPLES, Command


def percents(entry: dict[str, object]) -> str:
    return f"{entry['pictures']} pictures top-1 {100 * entry['top1']:.2f} % top-5 {100 * entry['top5']:.2f} %"


def test_every_number_of_the_table_is_that_of_json(clipon: Command) -> None:
    table, templates = write_csv(clipon.work / "data.csv"), clipon.work / "templates.txt"
    templates.write_text("{}\n{} no\n")
    line = (
        table, "--labels-file", SAMPLES / "labels.txt", "--group", 'kind, of "thing"', "--templates-file", templates,
        "--compare-templates", "--shift", "blur,contrast,pixelate",
    )  # fmt: skip
    told = evaluate(clipon, *line)
    # a number in another's place would be seen
    assert len({told["top1"], told["top5"], told["mean_per_class"], told["calibration_error"]}) == 4
    assert any(group["top1"] != group["top5"] for group in told["groups"])
    assert any(entry["top1"] != entry["top5"] for entry in told["compared_templates"])
    assert any(strength["top1"] != strength["top5"] for kind in told["shift"].values() for strength in kind)
    done = clipon("evaluate", *line)
    assert done.returncode == 0, done.stderr
    shown = [" ".join(text.split()) for text in done.stdout.splitlines()]
    rate = re.fullmatch(r"(.*); \d+\.\d pictures/s", shown[1])  # of this run
    assert rate is not None
    shown[1] = rate[1]
    wanted = [
        f"{table}: {told['pictures']} pictures, {told['labels']} labels, {len(told['templates'])} templates; "
        f"{told['model']}, {told['precision']} on {told['isa']}",
        f"top-1 {100 * told['top1']:.2f} %, top-5 {100 * told['top5']:.2f} %, mean per class "
        f"{100 * told['mean_per_class']:.2f} %, calibration error {told['calibration_error']:.3f}",
        "most confused",
    ]
    wanted += [f"{pair['pictures']} {pair['label']} -> {pair['predicted']}" for pair in told["most_confused"][:5]]
    wanted.append("groups, and the labels that they get most")
    for group in told["groups"]:
        rates = list(group["label_rates"].items())
        most = [f"{label} {100 * share:.1f} %" for label, share in rates[:3]]
        wanted.append(" ".join([group["group"], percents(group), *most]))
    wanted.append("templates")
    for entry in told["compared_templates"]:
        wanted.append(f"{entry['template'] or '(all together)'} {percents(entry)}")
    wanted.append(f"top-1 of pictures made worse, strengths 1 to 5 (as they are: {100 * told['top1']:.2f} %)")
    for kind, strengths in told["shift"].items():
        wanted.append(" ".join([kind, *(f"{100 * strength['top1']:.2f} %" for strength in strengths)]))
    assert shown == wanted


def test_pictures_a_second_are_those_of_this_run(clipon: Command) -> None:
    """Reading, decoding and embedding is a part of the run; of this many pictures far more than a twentieth of it."""
    table = clipon.work / "data.csv"
    count = 20 * len(PICTURES)
    table.write_text("path,label\n" + "".join(f"{path},house\n" for path in PICTURES) * 20)
    for form in ("text", "json"):
        start = time.monotonic()
        done = clipon("evaluate", table, *(["--json"] if form == "json" else []))
        over_all = count / (time.monotonic() - start)
        assert done.returncode == 0, done.stderr
        if form == "json":
            rate = json.loads(done.stdout)["pictures_per_second"]
        else:
            rate = float(done.stdout.splitlines()[1].removesuffix(" pictures/s").split()[-1])
        assert over_all < rate < 20 * over_all, form
