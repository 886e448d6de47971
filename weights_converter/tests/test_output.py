"""What is written: the same bytes twice, nothing on failure, what is told; what is refused."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import os
import pickle
import re
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from clipon_convert import __version__, cli
from clipon_convert.cli import check_sha256
from clipon_convert.errors import ConversionError
from clipon_convert.hashes import PUBLISHED
from clipon_convert.sources.weights_file import read_weights
from clipon_convert.writer import replaced_when_complete
from conftest import ALL_SAID, CONVERTER, convert, make_weights, nothing_left, run


def test_same_bytes_twice(source: Path, bpe: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert convert(source, tmp_path / f"{name}.gguf", "--bpe", bpe, "--dtype", "int8").returncode == 0
    assert (tmp_path / "a.gguf").read_bytes() == (tmp_path / "b.gguf").read_bytes()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"visual.proj": None}, "visual.attnpool"),
        ({"visual.ln_post.bias": None}, "visual.ln_post.bias"),
        ({"extra.weight": np.zeros(3, np.float32)}, "extra.weight"),
        ({"visual.ln_post.bias": np.zeros(3, np.float32)}, "expected shape [64], found [3]"),
        ({"visual.class_embedding": np.full(64, np.nan, np.float32)}, "NaN"),
        ({"logit_scale": None}, "logit_scale"),
        ({"visual.proj": np.zeros((24, 64), np.float32)}, "expected shape [64, 24], found [24, 64]"),
        ({"visual.positional_embedding": np.zeros((6, 64), np.float32)}, "expected a square number"),
        ({"visual.conv1.weight": np.zeros((64, 3), np.float32)}, "weight 'visual.conv1.weight': expected 4 dimensions"),
        ({"visual.conv1.weight": np.zeros((64, 3, 16, 16, 1), np.float32)}, "expected 4 dimensions"),
        ({"text_projection": np.full((64, 24), 1e30, np.float32)}, "too large for f16"),
    ],
)
def test_refusals(bpe: Path, tmp_path: Path, change: dict[str, np.ndarray | None], word: str) -> None:
    weights = make_weights()
    for name, values in change.items():
        if values is None:
            del weights[name]
        else:
            weights[name] = values
    source = tmp_path / "broken.safetensors"
    save_file(weights, source)
    before = set(os.listdir(tmp_path))
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe, "--dtype", "f16")
    assert done.returncode == 1
    assert word in done.stderr
    assert done.stderr.count("\n") == 1
    assert nothing_left(tmp_path, before)


def test_full_disk_leaves_nothing_behind(source: Path, bpe: Path, tmp_path: Path) -> None:
    import resource

    before = set(os.listdir(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "clipon_convert", str(source), str(tmp_path / "out.gguf"), "--bpe", str(bpe), "--quiet"],
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        check=False,
        # a file may not grow beyond 64 KB: the write fails half way, as on a full disk
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)),
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith(f"clipon_convert: {tmp_path / 'out.gguf'}: expected to write the model, failed: ")
    assert nothing_left(tmp_path, before)


def test_sha256(source: Path, bpe: Path, tmp_path: Path) -> None:
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe, "--sha256", "0" * 64)
    assert done.returncode == 1
    assert "SHA-256" in done.stderr
    published = tmp_path / "ViT-B-32.pt"
    published.write_bytes(b"not OpenAI's")
    done = convert(published, tmp_path / "out.gguf", "--bpe", bpe)
    assert "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af" in done.stderr


def test_sha256_of_a_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    done = convert(folder, tmp_path / "out.gguf", "--sha256", "0" * 64)
    assert done.returncode == 1
    assert f"--sha256: expected a file to check, found the folder {folder}" in done.stderr


def test_sha256_covers_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(bytes(1 << 20) + b"more than the block that is read at once")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for given in (None, digest, digest.upper()):
        assert not check_sha256(path, given)
    last_digit_wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    with pytest.raises(ConversionError) as refused:
        check_sha256(path, last_digit_wrong)
    assert str(refused.value) == f"{path}: expected SHA-256 {last_digit_wrong}, found {digest}"


def test_published_sha256(tmp_path: Path) -> None:
    """By the name of the folder, as in OpenAI's URLs, before that of the file; a file of their name may be renamed."""
    url = tmp_path / PUBLISHED["RN50.pt"] / "ViT-B-32.pt"
    url.parent.mkdir()
    url.write_bytes(b"")
    with pytest.raises(ConversionError, match=f"{url}: expected SHA-256 {PUBLISHED['RN50.pt']}.*rename it"):
        check_sha256(url, None)
    check_sha256(url, hashlib.sha256(b"").hexdigest())
    pretrained = Path(importlib.util.find_spec("open_clip").origin).with_name("pretrained.py").read_text()
    urls = re.findall(r"openaipublic\.azureedge\.net/clip/models/([0-9a-f]{64})/([^\"]+)", pretrained)
    assert {name: digest for digest, name in urls} == PUBLISHED
    for folder in ("0" * 63, "0" * 64, "0" * 65, "G" * 64):  # others' stores name folders by hashes, too
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.pt").write_bytes(b"")
        assert not check_sha256(tmp_path / folder / "a.pt", None)


def test_quiet_is_silent(source: Path, bpe: Path, tmp_path: Path) -> None:
    """Where nothing is assumed: test_assumptions.py."""
    out = tmp_path / "out.gguf"
    source.with_name("config.json").write_text(json.dumps(ALL_SAID))
    done = convert(source, out, "--bpe", bpe, "--name", "mine")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run(f"import runpy; {CONVERTER}", source, out, "--bpe", bpe)
    assert done.returncode == 0
    assert done.stdout == f"{out}: ViT-64x2/16@32px, f32, {out.stat().st_size / 1e6:.1f} MB\n"


def test_progress_on_a_terminal(source: Path, bpe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("signal.signal", lambda *_: None)
    source.with_name("config.json").write_text(json.dumps(ALL_SAID))
    for options, shown in ((["--quiet"], False), ([], True)):
        monkeypatch.setattr("sys.stderr", Terminal())
        assert cli.main([*map(str, (source, tmp_path / "out.gguf", "--bpe", bpe)), *options]) == 0
        assert ("Converting" in sys.stderr.getvalue()) == shown
        assert shown or sys.stderr.getvalue() == ""


def test_errors_of_several_lines_are_told_in_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> None:
        raise ValueError("first line,\n  second line\n")

    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr(cli, "convert", fail)
    assert cli.main(["a.pt", "a.gguf"]) == 1
    assert capsys.readouterr().err == "clipon_convert: a.pt: ValueError: first line, second line\n"


@pytest.mark.parametrize("error", [ConversionError, OSError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_file_that_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"old")
    with pytest.raises(error), replaced_when_complete(out) as temporary:
        temporary.write_bytes(b"half of the n")
        raise error
    assert out.read_bytes() == b"old"
    assert nothing_left(tmp_path, {"out.gguf"})


def test_files_are_written_beside_and_as_readable_as_others(tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"old")
    before = os.umask(0o027)
    try:
        with replaced_when_complete(out) as temporary:
            assert temporary.parent == tmp_path  # another file system could not rename it
            assert temporary.name.startswith(".out.gguf.")
            temporary.write_bytes(b"new")
            assert out.read_bytes() == b"old"
        assert stat.S_IMODE(out.stat().st_mode) == 0o640
    finally:
        left = os.umask(before)
    assert left == 0o027
    assert out.read_bytes() == b"new"
    assert nothing_left(tmp_path, {"out.gguf"})


def test_a_link_stays_one(tmp_path: Path) -> None:
    target, link = tmp_path / "folder/model.gguf", tmp_path / "link.gguf"
    target.parent.mkdir()
    target.write_bytes(b"old")
    link.symlink_to(target)
    with replaced_when_complete(link) as temporary:
        assert temporary.parent == target.parent
        temporary.write_bytes(b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_only_models_are_replaced(source: Path, bpe: Path, tmp_path: Path) -> None:
    """Not the merges, a source's configuration, or whatever a slip of the completion names."""
    config = tmp_path / "config.json"
    config.write_text("{}")
    for out in (bpe, config):
        before = out.read_bytes()
        done = convert(source, out, "--bpe", bpe)
        assert done.returncode == 1
        why = "expected a new file or a GGUF to replace, found another file"
        assert done.stderr == f"clipon_convert: {out}: {why}\n"
        assert out.read_bytes() == before
    config.unlink()
    out = tmp_path / "out.gguf"
    for content in (b"", b"GGUF of another time"):
        out.write_bytes(content)
        assert convert(source, out, "--bpe", bpe).returncode == 0
        assert out.stat().st_size > 1000


def test_names_in_errors_are_printed_as_one_line(weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path) -> None:
    save_file(weights | {"visual.x\n\x1b[31mred\u202e": np.zeros(1, np.float32)}, tmp_path / "odd.safetensors")
    done = convert(tmp_path / "odd.safetensors", tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    expected = "clipon_convert: weight 'visual.x\\n\\x1b[31mred\\u202e': the architecture has no such weights, "
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("kind", [np.int8, np.bool_, np.int64])
def test_weights_of_integers_are_refused(
    weights: dict[str, np.ndarray], bpe: Path, tmp_path: Path, kind: type[np.generic]
) -> None:
    """As a quantised checkpoint has them, whose scales are elsewhere."""
    name = "transformer.resblocks.0.mlp.c_fc.weight"
    save_file(weights | {name: weights[name].astype(kind)}, tmp_path / "integers.safetensors")
    done = convert(tmp_path / "integers.safetensors", tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    found = np.dtype(kind).name
    assert done.stderr == f"clipon_convert: weight '{name}': expected floating-point numbers, found {found}\n"


def archive(path: Path, payload: bytes, compress: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compress) as file:
        file.writestr("archive/data.pkl", payload)
        file.writestr("archive/version", "3\n")
    return path


class Attack:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickles_that_run_code_are_refused(tmp_path: Path, bpe: Path, protocol: int) -> None:
    marker = tmp_path / "marker"
    source = archive(tmp_path / "evil.pt", pickle.dumps({"visual.proj": Attack(marker)}, protocol))
    done = convert(source, tmp_path / "out.gguf", "--bpe", bpe)
    assert done.returncode == 1
    assert "system" in done.stderr
    assert not marker.exists()
    assert not (tmp_path / "out.gguf").exists()


@pytest.mark.parametrize(
    "payload",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cbuiltins\n__import__\n(S'os'\ntR.",
        b"ctorch.storage\n_load_from_bytes\n(S'x'\ntR.",
        b"cfunctools\npartial\n(tR.",
        b"garbage",
        b"",
        b"\x80\x02]q\x00.",
    ],
)
def test_other_pickles_are_refused(tmp_path: Path, payload: bytes) -> None:
    with pytest.raises(ConversionError):
        read_weights(archive(tmp_path / "odd.pt", payload))


def test_zip_tricks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match="uncompressed"):  # a bomb needs compression
        read_weights(archive(tmp_path / "bomb.pt", b"\x80\x02}." + bytes(1000), zipfile.ZIP_DEFLATED))
    two = tmp_path / "two.pt"
    with zipfile.ZipFile(two, "w") as file:
        file.writestr("a/data.pkl", b"\x80\x02}.")
        file.writestr("b/data.pkl", b"\x80\x02}.")
    with pytest.raises(ConversionError, match=r"one data\.pkl"):
        read_weights(two)
    plain = tmp_path / "plain.pt"
    plain.write_bytes(pickle.dumps({}))
    with pytest.raises(ConversionError, match="ZIP"):
        read_weights(plain)


def without(package: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The converter where this package is not installed."""
    return run(f"import runpy, sys; sys.modules[sys.argv.pop(1)] = None; {CONVERTER}", package, *arguments)


def test_what_is_missing_is_said_before_anything_is_written(source: Path, tmp_path: Path) -> None:
    done = without("numpy", "--help")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and "the package numpy" in done.stderr and "pip install" in done.stderr
    done = without("torch", source, tmp_path / "a.gguf", "--verify")
    assert done.returncode == 1
    assert "the package torch" in done.stderr and not (tmp_path / "a.gguf").exists()
    done = convert(source, tmp_path / "none/a.gguf")
    assert done.returncode == 1
    assert "none/a.gguf: expected the folder" in done.stderr
    done = convert(source, source / "a.gguf")
    assert done.returncode == 1
    assert f"expected the folder {source} to write to" in done.stderr
    done = convert(source, tmp_path / "a.gguf", "--verify", "--clipon", tmp_path / "none")
    assert done.returncode == 1
    assert f"no command '{tmp_path / 'none'}'; build clipon and name it" in done.stderr
    assert not (tmp_path / "a.gguf").exists()
    for missing, why in (
        (tmp_path / "none.pt", "no such file or folder"),
        (tmp_path, "expected a config.json (Hugging Face) or open_clip_config.json, found neither"),
    ):
        done = convert(missing, tmp_path / "a.gguf")
        assert (done.returncode, done.stderr) == (1, f"clipon_convert: {missing}: {why}\n")


def test_version_and_usage() -> None:
    done = run(f"import runpy; {CONVERTER}", "--version")
    assert (done.returncode, done.stdout) == (0, f"clipon_convert {__version__}\n")
    done = run(f"import runpy; {CONVERTER}", "a.pt", "a.gguf", "--dtype", "f64")
    assert done.returncode == 2
    assert "--dtype" in done.stderr
