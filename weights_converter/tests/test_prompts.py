"""The prompts that are written against what the package itself would say; sources that are not what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from clipon_convert import prompts
from clipon_convert.errors import ConversionError


def test_written_files(tmp_path: Path) -> None:
    assert prompts.main([str(tmp_path / "prompts")]) == 0
    lines = {name: (tmp_path / "prompts" / name).read_text().splitlines() for name in prompts.FILES}
    assert {name: len(found) for name, found in lines.items()} == {
        "openai-80.txt": 80,
        "openai-7.txt": 7,
        "imagenet-1k.txt": 1000,
    }
    assert all("{}" in line for name in ("openai-80.txt", "openai-7.txt") for line in lines[name])
    assert lines["imagenet-1k.txt"][:2] == ["tench", "goldfish"]
    # the module has no imports, so its lambdas can be called without torch
    module: dict[str, object] = {}
    exec(prompts.find_metadata().read_text(), module)
    for name, variable in prompts.FILES.items():
        for line, original in zip(lines[name], module[variable], strict=True):
            assert line.replace("{}", "cat") == (original("cat") if callable(original) else original)


def test_sources_of_another_form_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "zero_shot_metadata.py"
    source.write_text("OPENAI_IMAGENET_TEMPLATES = (lambda c: f'a {c.upper()}',)\n")
    with pytest.raises(ConversionError, match="expected a string or a template"):
        prompts.read_lists(source)
    source.write_text("IMAGENET_CLASSNAMES = ('tench',)\n")
    with pytest.raises(ConversionError, match="OPENAI_IMAGENET_TEMPLATES"):
        prompts.read_lists(source)
    with pytest.raises(ConversionError, match="No such file"):
        prompts.read_lists(tmp_path / "none.py")
