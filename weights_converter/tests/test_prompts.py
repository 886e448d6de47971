"""The prompts that are written against what the package itself would say; sources that are not what is expected."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
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
    source.write_text("OPENAI_IMAGENET_TEMPLATES = (\n")
    with pytest.raises(ConversionError, match=f"{source}: "):
        prompts.read_lists(source)


@pytest.mark.parametrize("template", ["7", "lambda c: c", "lambda c: f'a photo'", "lambda c: f'{c} of {c.upper()}'"])
def test_templates_of_another_form_are_told_with_their_line(tmp_path: Path, template: str) -> None:
    source = tmp_path / "zero_shot_metadata.py"
    source.write_text(f"SIMPLE_IMAGENET_TEMPLATES = [\n    lambda c: f'a {{c}}.',\n    {template},\n]\n")
    with pytest.raises(ConversionError, match=r"^line 3: expected a string or a template"):
        prompts.read_lists(source)


def test_folders_that_are_there_and_can_not_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        assert prompts.main([str(folder)]) == 0
        assert capsys.readouterr().out.splitlines() == [
            f"{folder / 'openai-80.txt'}: 80 lines",
            f"{folder / 'openai-7.txt'}: 7 lines",
            f"{folder / 'imagenet-1k.txt'}: 1000 lines",
        ]
    assert all((folder / name).read_text().endswith("\n") for name in prompts.FILES)
    assert prompts.main([str(folder / "openai-7.txt")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_packages_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for spec in (None, ModuleSpec("open_clip", None)):
        monkeypatch.setattr("importlib.util.find_spec", lambda _, found=spec: found)
        assert prompts.main([str(tmp_path / "prompts")]) == 1
        assert capsys.readouterr().err.startswith("clipon_convert.prompts: open_clip: expected the package")
    assert not (tmp_path / "prompts").exists()
