"""OpenAI's prompts and class names, from the installed open_clip_torch package, as files that clipon reads.

    python -m clipon_convert.prompts FOLDER

writes openai-80.txt (the 80 ImageNet templates), openai-7.txt (the best seven), imagenet-1k.txt (class names), a line
each. The package's source is parsed, not imported: torch is not needed.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import sys
from pathlib import Path

from clipon_convert.errors import ConversionError

METADATA = "zero_shot_metadata.py"
FILES = {
    "openai-80.txt": "OPENAI_IMAGENET_TEMPLATES",
    "openai-7.txt": "SIMPLE_IMAGENET_TEMPLATES",
    "imagenet-1k.txt": "IMAGENET_CLASSNAMES",
}


def find_metadata() -> Path:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise ConversionError("open_clip: expected the package (pip install --no-deps open_clip_torch), found none")
    return Path(spec.origin).with_name(METADATA)


def one_line(node: ast.expr) -> str:
    """A class name, or the template of `lambda c: f"a photo of a {c}."` with {} for the label."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Lambda) and isinstance(node.body, ast.JoinedStr):
        parts = []
        for part in node.body.values:
            if isinstance(part, ast.Constant):
                parts.append(str(part.value))
            elif isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.Name):
                parts.append("{}")
        if len(parts) == len(node.body.values) and "{}" in parts:
            return "".join(parts)
    raise ConversionError(f"line {node.lineno}: expected a string or a template of one name, found {ast.unparse(node)}")


def read_lists(source: Path) -> dict[str, list[str]]:
    """The module's tuples and lists of strings and templates, by name."""
    try:
        tree = ast.parse(source.read_text(encoding="utf-8"))
    except (OSError, SyntaxError) as error:
        raise ConversionError(f"{source}: {error}") from error
    lists = {}
    for statement in tree.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Tuple | ast.List):
            continue
        target = statement.targets[0]
        if isinstance(target, ast.Name) and target.id in FILES.values():
            lists[target.id] = [one_line(element) for element in statement.value.elts]
    missing = sorted(set(FILES.values()) - set(lists))
    if missing:
        raise ConversionError(f"{source}: expected {', '.join(missing)}, found none")
    return lists


def write_prompts(folder: Path, source: Path | None = None) -> dict[str, int]:
    """Writes the files; how many lines each has."""
    lists = read_lists(source or find_metadata())
    folder.mkdir(parents=True, exist_ok=True)
    for name, variable in FILES.items():
        (folder / name).write_text("".join(line + "\n" for line in lists[variable]), encoding="utf-8")
    return {name: len(lists[variable]) for name, variable in FILES.items()}


def main(arguments: list[str] | None = None) -> int:
    description, usage = (__doc__ or "").split("\n\n", 1)
    parser = argparse.ArgumentParser(
        prog="clipon_convert.prompts",
        description=description,
        epilog=usage,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path)
    options = parser.parse_args(arguments)
    try:
        for name, lines in write_prompts(options.folder).items():
            print(f"{options.folder / name}: {lines} lines")
    except (ConversionError, OSError) as error:
        print(f"clipon_convert.prompts: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
