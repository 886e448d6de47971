"""What has been measured so far: printed line by line, and written as a table, JSON and a chart."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

from comparison import report
from comparison.report import Line
from comparison.rounds import Result


@dataclass
class Results:
    kind: str  # of machine
    about: dict[str, object]
    results: list[Result] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def add(self, result: Result) -> None:
        self.results.append(result)
        self.show(report.lines_of(result, self.kind))

    def fail(self, name: str, mark: float | None, why: str) -> None:
        """What could not be measured; the others go on."""
        self.failed.append(name)
        print(f"{name}: {why}", file=sys.stderr, flush=True)
        self.show([Line(name, "", "", None, mark, "x", why="FAILED: " + why.splitlines()[0])])

    def show(self, lines: list[Line]) -> None:
        for line in lines:
            self.lines.append(line)
            print(line.markdown(), flush=True)

    def write(self, out: Path) -> None:
        """Leaves what an earlier run wrote where nothing has been measured."""
        if not self.lines:
            return
        cpu = self.about["cpu"]
        table = "\n".join([report.HEAD, *(line.markdown() for line in self.lines)])
        head = f"{cpu}, {self.about['versions']}"
        (out / "compare.md").write_text(f"{head}\n\n{table}\n\n{report.details(self.results)}\n")
        (out / "compare.json").write_text(report.to_json(self.results, self.lines, self.about))
        drawn = report.draw(self.results, out / "compare.svg", cpu)
        print(f"{out}/compare.md, compare.json" + (", compare.svg" if drawn else ""))
