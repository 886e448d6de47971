"""From results to a table in Markdown, JSON and a bar chart."""

from __future__ import annotations

import importlib.util
import json
import math
import statistics
from dataclasses import dataclass
from pathlib import Path

from comparison.rounds import CORES, DISTURBED, Result, runtime_and_precision


@dataclass
class Line:
    """A row of the table of marks."""

    name: str
    ours: str  # "25.3/s"
    best: str  # "OpenVINO f32 21.4/s"
    value: float | None  # of what the mark asks for; None: open
    mark: float | None
    unit: str  # "x the best peer", "of peak"
    at_most: bool = False
    why: str = ""  # it is open, or what else must be said

    @property
    def verdict(self) -> str:
        if self.value is None:
            return "open"
        if self.mark is None:
            return "no mark"
        return "met" if (self.value <= self.mark if self.at_most else self.value >= self.mark) else "missed"

    def markdown(self) -> str:
        sign = "<=" if self.at_most else ">="
        found = "" if self.value is None else f"{self.value:.3g} {self.unit}"
        mark = "" if self.mark is None else f"{sign} {self.mark:g}"
        verdict = self.verdict + (": " + self.why if self.why else "")
        return f"| {self.name} | {self.ours} | {self.best} | {found} | {mark} | {verdict} |"


STEADY = 0.95  # of the highest peak: where a round's was lower, both are told
HEAD = "| work | clipon | best peer | measured | mark | |\n| --- | --- | --- | --- | --- | --- |"


def reasons(*parts: str) -> str:
    """What is to be said beside a verdict."""
    return "; ".join(part for part in parts if part)


def lines_of(result: Result, kind: str) -> list[Line]:
    """One line for the ratio, one for the share of the peak where there is a mark for it."""
    row = result.row
    medians = {name: statistics.median(rates) for name, rates in result.rates.items()}
    best = max(result.peers, key=lambda name: medians[name], default=None)
    ours = f"{medians[result.ours]:.1f}/s"
    crowded = f"{row.threads} threads on {len(CORES)} core" if row.threads > len(CORES) else ""
    busy = f"others used up to {result.other_load:.0%} of the CPU" if result.other_load > DISTURBED else ""
    disturbed = reasons(crowded, busy)
    wrong = [f"{name}: cosine {c[0]:.5f}" for name, c in result.cosines.items() if not result.agrees(name)]
    others = f"NOT COMPARABLE, the embeddings are others: {', '.join(wrong)}" if wrong else ""
    why = reasons(row.note, disturbed, others)
    peer = f"{best} {medians[best]:.1f}/s" if best else ""
    lines = [Line(row.name, ours, peer, result.ratio, row.ratio.get(kind), "x", why=why)]
    if kind in row.peak:
        share = result.share(result.ours)
        least, most = min(result.peaks), max(result.peaks)
        peak = f"{most:.0f} GFLOP/s" + (f" (from {least:.0f})" if least < STEADY * most else "")
        lines.append(Line(f"{row.name}, share of peak", ours, peak, share, row.peak[kind], "of peak", why=disturbed))
    return lines


def details(results: list[Result]) -> str:
    """Every contestant's rate, share of the peak where there is one, and agreement with PyTorch."""
    text = [
        "| work | runtime | items/s, median (least - most round) | of peak | worst cosine | mean-centred |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        for name, rates in result.rates.items():
            worst, centred = result.cosines[name]
            spread = f"{statistics.median(rates):.1f} ({min(rates):.1f} - {max(rates):.1f})"
            share = result.share(name)
            cells = (result.row.name, name, spread, "" if share is None else f"{share:.3f}", f"{worst:.5f}")
            text.append(f"| {' | '.join(cells)} | {'' if math.isnan(centred) else f'{centred:.4f}'} |")
    return "\n".join(text)


def to_json(results: list[Result], lines: list[Line], machine: dict[str, object]) -> str:
    def number(x: float) -> float | None:
        return None if math.isnan(x) else x

    of_row = ("name", "arch", "tower", "precision", "batch", "isa", "threads")
    rows = [
        {key: getattr(r.row, key) for key in of_row}
        | {"rates": r.rates, "ratio": r.ratio, "other_load": r.other_load}
        | {"cosines": {name: [number(x) for x in both] for name, both in r.cosines.items()}}
        | {"peak_gflops": r.peaks, "gflop_an_item": r.gflop, "share_of_peak": r.share(r.ours)}
        for r in results
    ]
    marks = [line.__dict__ | {"verdict": line.verdict} for line in lines]
    return json.dumps({"machine": machine, "results": rows, "marks": marks}, indent=1, allow_nan=False)


NAMES = {
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
    "torch": "PyTorch",
    "torch-compiled": "PyTorch, compiled",
}
COLOURS = {
    "clipon": "#1b6ca8",
    "openvino": "#e07b39",
    "onnxruntime": "#6aa84f",
    "torch": "#a64d79",
    "torch-compiled": "#c27ba0",
}


def draw(results: list[Result], out: Path, cpu: object) -> bool:
    """A panel an architecture, a group of bars a row of images; the peak as a line through each group. Whether there
    was something to draw, and matplotlib to do it."""
    shown = [r for r in results if r.row.tower == "image" and r.row.isa == "best" and len(r.rates) > 1]
    shown = [r for r in shown if not any(name.startswith("clipon") and name != r.ours for name in r.rates)]
    if not shown or importlib.util.find_spec("matplotlib") is None:
        return False
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    architectures = list(dict.fromkeys(r.row.arch for r in shown))
    figure, grid = plt.subplots(len(architectures), 1, squeeze=False)
    figure.set_size_inches(9, 2.5 * len(grid) + 0.9)
    for axis, arch in zip(grid.flat, architectures, strict=True):
        draw_panel(axis, [r for r in shown if r.row.arch == arch])
        axis.set_title(arch, fontsize=11)
    handles = {
        label: handle for axis in grid.flat for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=6, fontsize=9, frameon=False)
    threads = " and ".join(str(n) for n in sorted({r.row.threads for r in shown}))
    figure.suptitle(f"Images per second, {cpu}, {threads} threads (higher is better)", fontsize=10)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)
    return True


def draw_panel(axis, results: list[Result]) -> None:  # noqa: ANN001
    at, ticks = 0.0, []
    for result in results:
        start = at
        for name, rates in sorted(result.rates.items(), key=lambda item: item[0] != result.ours):
            runtime, precision = runtime_and_precision(name)
            if precision != result.row.precision:
                continue
            height = statistics.median(rates)
            axis.bar(at, height, 0.9, color=COLOURS[runtime], label=NAMES.get(runtime, runtime))
            on_white = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
            axis.annotate(
                f"{height:.3g}",
                (at, height),
                (0, 3),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                bbox=on_white,
            )
            at += 1
        peak = max(result.peaks) / result.gflop
        line = {"color": "black", "linestyle": "--", "linewidth": 1, "label": "peak / published operations"}
        axis.plot([start - 0.6, at - 0.4], [peak, peak], zorder=2, **line)
        ticks.append(((start + at - 1) / 2, f"{result.row.precision}\nbatch {result.row.batch}"))
        at += 0.8
    axis.set_xticks([x for x, _ in ticks], [text for _, text in ticks], fontsize=9)
    axis.set_ylabel("images/s", fontsize=9)
    axis.margins(x=0.02, y=0.12)
    axis.spines[["top", "right"]].set_visible(False)
