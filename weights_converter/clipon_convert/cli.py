"""The command line: finds out what the source is, reads it, writes the model file."""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import shutil
import signal
import sys
from pathlib import Path

from clipon_convert import __version__
from clipon_convert.assumptions import GIVEN, settle_activation, warn_of_assumptions
from clipon_convert.checkpoint import Checkpoint
from clipon_convert.console import one_line, say
from clipon_convert.dtypes import DTYPES
from clipon_convert.errors import ConversionError
from clipon_convert.files import is_present, regular_size
from clipon_convert.hashes import PUBLISHED, expected_sha256
from clipon_convert.sources import clip_cpp, huggingface, open_clip, openai
from clipon_convert.writer import write

DESCRIPTION = """Turns a CLIP checkpoint into a clipon model (GGUF).

SOURCE is one of
  ViT-B-32.pt          OpenAI's download, or a torch.save(state_dict) with their parameter names
  model.safetensors    OpenAI's parameter names
  FOLDER               a Hugging Face CLIPModel: config.json, model.safetensors, tokenizer files; or an OpenCLIP one
  open_clip_model.*    an OpenCLIP checkpoint with its open_clip_config.json beside it
  model.gguf           clip.cpp's file"""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="clipon_convert", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", metavar="SOURCE", type=Path)
    parser.add_argument("out", metavar="OUT.gguf", type=Path)
    parser.add_argument("--dtype", choices=DTYPES, help="type of the matrices; the source's own when absent")
    parser.add_argument("--activation", choices=GIVEN, help="of both towers, where the source does not say it")
    parser.add_argument("--name", help="general.name; when absent the published model of the same sizes")
    parser.add_argument("--bpe", metavar="FILE", type=Path, help="bpe_simple_vocab_16e6.txt.gz or merges of its form")
    parser.add_argument("--sha256", metavar="HEX", help="refuse a source file of any other SHA-256")
    parser.add_argument("--license", help="general.license")
    parser.add_argument("--description", help="general.description")
    parser.add_argument("--source-url", help="general.source.url")
    parser.add_argument("--training-data", help="clipon.training_data: what is known of the data it was trained on")
    parser.add_argument("--verify", action="store_true", help="run source (torch) and result (clipon), print the error")
    parser.add_argument("--clipon", metavar="PATH", default="clipon", help="the clipon command, for --verify")
    parser.add_argument("--quiet", action="store_true", help="no progress bar, no summary; warnings stay")
    parser.add_argument("--version", action="version", version=f"clipon_convert {__version__}")
    return parser.parse_args(arguments)


def check_sha256(path: Path, given: str | None) -> bool:
    """Against --sha256, else against OpenAI's published hash where the path carries it or the file has their name.
    Whether it is one of OpenAI's."""
    expected = given.lower() if given else expected_sha256(path)
    if expected is None:
        return False
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected:
        hint = "" if given else " (rename it if it is not OpenAI's download)"
        raise ConversionError(f"{path}: expected SHA-256 {expected}, found {digest.hexdigest()}{hint}")
    return expected in PUBLISHED.values()


def read_folder(folder: Path, bpe: Path | None) -> tuple[Checkpoint, str]:
    has_open_clip = is_present(folder / open_clip.CONFIG_NAME)
    if is_present(folder / "config.json") and (not has_open_clip or huggingface.is_model(folder)):
        return huggingface.read(folder, bpe), "Hugging Face CLIPModel"
    if has_open_clip:
        weights = next((folder / name for name in open_clip.WEIGHTS if is_present(folder / name)), None)
        if weights is None:
            raise ConversionError(f"{folder}: expected {' or '.join(open_clip.WEIGHTS)}, found neither")
        return open_clip.read(weights, bpe), "OpenCLIP checkpoint"
    raise ConversionError(f"{folder}: expected a config.json (Hugging Face) or {open_clip.CONFIG_NAME}, found neither")


def read_source(source: Path, bpe: Path | None, is_openais: bool = False) -> tuple[Checkpoint, str]:
    """The checkpoint and the name of its kind."""
    if not source.exists():
        raise ConversionError(f"{source}: no such file or folder")
    if source.is_dir():
        return read_folder(source, bpe)
    if source.suffix == ".gguf":
        return clip_cpp.read(source, bpe), "clip.cpp GGUF"
    if not is_openais and is_present(source.with_name(open_clip.CONFIG_NAME)):
        return open_clip.read(source, bpe), "OpenCLIP checkpoint"
    if source.name in open_clip.WEIGHTS:
        raise ConversionError(f"{source}: expected OpenCLIP's {open_clip.CONFIG_NAME} beside it, found none")
    checkpoint = openai.read(source, bpe)
    if is_openais:
        checkpoint.description, checkpoint.assumed = dict(openai.DESCRIPTION), {}
    return checkpoint, "OpenAI parameter names"


def is_model_or_empty(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in (b"", b"GGUF")


def check_paths(options: argparse.Namespace) -> None:
    """What minutes of conversion need not go before."""
    if options.out.exists() and not options.out.is_file():  # a device or folder must not be replaced
        raise ConversionError(f"{options.out}: expected a file to write to, found something else of that name")
    if not options.out.parent.is_dir():
        raise ConversionError(f"{options.out}: expected the folder {options.out.parent} to write to, found none")
    if options.source.exists() and options.out.exists() and options.out.samefile(options.source):
        raise ConversionError(f"{options.out}: expected another file than the source to write to, found the source")
    if options.out.exists() and not is_model_or_empty(options.out):  # weights, a configuration, merges, anything else
        raise ConversionError(f"{options.out}: expected a new file or a GGUF to replace, found another file")
    if options.verify and importlib.util.find_spec("torch") is None:
        raise ConversionError("--verify: expected the package torch, found none: pip install torch")
    if options.verify and shutil.which(options.clipon) is None:
        raise ConversionError(f"--verify: no command '{options.clipon}'; build clipon and name it with --clipon PATH")
    if options.sha256 and options.source.is_dir():
        raise ConversionError(f"--sha256: expected a file to check, found the folder {options.source}")


def shown_name(source: Path) -> str:
    """Of "." the folder's; of bytes that are no UTF-8, which a model file can't hold, what can be read of them."""
    return os.fsencode(Path(os.path.abspath(source)).name).decode("utf-8", "replace")


def convert(options: argparse.Namespace) -> tuple[Checkpoint, str]:
    """The checkpoint and the type that its matrices were written in."""
    check_paths(options)
    is_openais = False
    if options.source.exists() and not options.source.is_dir():
        regular_size(options.source)
        is_openais = check_sha256(options.source, options.sha256)
    checkpoint, kind = read_source(options.source, options.bpe, is_openais)
    settle_activation(checkpoint, options.activation, options.source)
    checkpoint.name = options.name or checkpoint.name
    checkpoint.description["clipon.source"] = f"{shown_name(options.source)} ({kind})"
    given = {
        "general.license": options.license,
        "general.description": options.description,
        "general.source.url": options.source_url,
        "clipon.training_data": options.training_data,
    }
    checkpoint.description.update({key: value for key, value in given.items() if value is not None})
    dtype = options.dtype or checkpoint.stored_type
    write(checkpoint, options.out, dtype, progress=not options.quiet)
    warn_of_assumptions(checkpoint, options.source)
    if not options.quiet:
        say(f"{options.out}: {checkpoint.name}, {dtype}, {options.out.stat().st_size / 1e6:.1f} MB")
    return checkpoint, dtype


def end(number: int, _: object) -> None:
    """As an exception, which takes the temporary file along."""
    sys.exit(128 + number)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup's
            signal.signal(number, end)
    try:
        checkpoint, dtype = convert(options)
        if options.verify:
            from clipon_convert.verify import verify  # needs torch

            return verify(checkpoint, options.out, options.clipon, dtype)
    except ConversionError as error:
        print(f"clipon_convert: {one_line(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("clipon_convert: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except Exception as error:  # a broken source can make nearly anything of itself: JSON of other types, depth, sizes
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"clipon_convert: {one_line(f'{options.source}: {reason}')}", file=sys.stderr)
        return 1
    return 0
