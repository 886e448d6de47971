"""One set of made-up weights in every runtime's own form, and the inputs that all get.  Made once, kept in a folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests/golden"
CONVERTER = ROOT / "weights_converter"
sys.path.insert(0, str(CONVERTER))
PICTURES = 32
CALIBRATION = 32  # pictures or texts that static quantisation sees: with 16 of them the worst cosine is 0.984


def labels() -> list[str]:
    """64 different texts of seven to ten tokens; eight each begin alike, so clipon is told to compute each whole."""
    openings = (
        "a photo of the",
        "my old",
        "one more small",
        "the big",
        "two drawings of a",
        "look at this",
        "some",
        "here is a",
    )
    things = ("dog in the garden", "house on a hill", "red car at night", "guitar on a table", "bicycle by the wall",
              "glass of cold water", "tall green tree", "boat on the sea")  # fmt: skip
    return [f"{a} {b}" for a in openings for b in things]


def made(path: Path, make: Callable[[Path], None]) -> Path:
    """`path`, a file or folder, which `make` writes in a folder of its own at first, with files that it refers to by
    their names: what a run that was stopped left half would look complete."""
    if not path.exists():
        with tempfile.TemporaryDirectory(prefix=".new-", dir=path.parent) as folder:
            make(Path(folder) / path.name)
            for file in sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name):  # itself last
                file.replace(path.parent / file.name)
    return path


@cache
def made_from() -> str:
    """What the files depend on: where it changes, they are made anew."""
    here = Path(__file__)
    digest = hashlib.sha256()
    for source in (here, here.with_name("torch_model.py"), GOLDEN / "make_checkpoint.py"):
        digest.update(source.read_bytes())
    versions = (f"{name} {importlib.metadata.version(name)}" for name in ("torch", "onnxruntime", "openvino", "nncf"))
    return "\n".join([digest.hexdigest(), *versions])


def forget_what_others_made(folder: Path, stamp: str) -> None:
    """Leaves in `folder` only what was made from what `stamp` says; nothing of a folder that has none is removed."""
    file = folder / "made_from"
    if file.is_file():
        if file.read_text() == stamp:
            return
        shutil.rmtree(folder)
        folder.mkdir()
    elif any(folder.iterdir()):
        raise FileExistsError(f"{folder}: expected a folder that compare.py has made, found others' files")
    file.write_text(stamp)


class Prepared:
    """The files of one architecture; each is made when it is first asked for."""

    def __init__(self, arch: str, folder: Path, clipon: Path) -> None:
        self.arch, self.clipon = arch, clipon
        self.folder = folder / arch.replace("/", "-").replace("@", "-")
        self.folder.mkdir(parents=True, exist_ok=True)
        forget_what_others_made(self.folder, made_from())

    def path(self, name: str) -> Path:
        return self.folder / name

    @property
    def checkpoint(self) -> Path:
        def make(path: Path) -> None:
            line = [sys.executable, GOLDEN / "make_checkpoint.py", self.arch, path]
            subprocess.run(line, check=True, stdout=subprocess.DEVNULL)

        return made(self.path("checkpoint.safetensors"), make)

    @property
    def gguf(self) -> Path:
        def make(path: Path) -> None:
            line = [sys.executable, "-m", "clipon_convert", self.checkpoint, path, "--quiet"]
            subprocess.run(line, cwd=CONVERTER, check=True)

        return made(self.path("f32.gguf"), make)

    @cached_property
    def torch_model(self):  # noqa: ANN201
        from clipon_convert.sources import openai
        from comparison.torch_model import TorchClip

        return TorchClip(openai.read(self.checkpoint, None))

    def tower(self, tower: str):  # noqa: ANN201
        from comparison.torch_model import ImageTower, TextTower

        return ImageTower(self.torch_model) if tower == "image" else TextTower(self.torch_model)

    @cached_property
    def image_size(self) -> int:
        return int(self.torch_model.checkpoint.vision.image_size)

    @property
    def pixels_file(self) -> Path:
        """float32 [32, 3, S, S]: the test suite's pictures, and their mirror images, as CLIP normalises them."""

        def make(path: Path) -> None:
            size, pre = self.image_size, self.torch_model.checkpoint.preprocessing
            rows = []
            for file in sorted((GOLDEN / "inputs/images").iterdir()):
                picture = Image.open(file).convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
                x = (np.asarray(picture, np.float32) / 255 - np.float32(pre.mean)) / np.float32(pre.std)
                rows += [x.transpose(2, 0, 1), x[:, ::-1].transpose(2, 0, 1)]
            rows = (rows * 2)[:PICTURES]
            np.ascontiguousarray(np.stack(rows), np.float32).tofile(path)

        return made(self.path("pixels.f32"), make)

    @property
    def texts_file(self) -> Path:
        path = self.path("texts.txt")
        path.write_text("\n".join(labels()) + "\n")
        return path

    @property
    def inputs_file(self) -> Path:
        """What peers read: pixels [32, 3, S, S] and padded ids [64, 77]."""

        def make(path: Path) -> None:
            pixels = np.fromfile(self.pixels_file, np.float32).reshape(PICTURES, 3, self.image_size, self.image_size)
            line = [self.clipon, "--model", self.gguf, "tokenize", "--texts", self.texts_file]
            lines = subprocess.run(line, check=True, capture_output=True, text=True).stdout.splitlines()
            ids = np.zeros((len(lines), 77), np.int64)
            for row, text in zip(ids, lines, strict=True):
                values = json.loads(text)
                row[: len(values)] = values
            np.savez(path, image=pixels, text=ids)

        return made(self.path("inputs.npz"), make)

    def inputs(self, tower: str) -> np.ndarray:
        """Of short_text: the ids no longer than the longest text."""
        if tower != "short_text":
            return np.load(self.inputs_file)[tower]
        ids = np.load(self.inputs_file)["text"]
        return ids[:, : int((ids != 0).sum(1).max())]

    def reference(self, tower: str) -> np.ndarray:
        """PyTorch's features in float32, [n, embed_dim]."""

        def make(path: Path) -> None:
            import torch

            with torch.no_grad():
                parts = [self.tower(tower)(torch.from_numpy(x)).numpy() for x in np.array_split(self.inputs(tower), 8)]
            np.save(path, np.concatenate(parts))

        return np.load(made(self.path(f"{tower}.reference.npy"), make))

    def onnx(self, tower: str, precision: str) -> Path:
        def export(path: Path) -> None:
            import torch

            sample = torch.from_numpy(self.inputs(tower)[:2])
            names = {"input_names": ["input"], "output_names": ["features"]}
            torch.onnx.export(
                self.tower(tower), (sample,), str(path), dynamo=False, opset_version=18,
                dynamic_axes={"input": {0: "batch"}, "features": {0: "batch"}}, **names,
            )  # fmt: skip

        def quantise(path: Path) -> None:
            from onnxruntime.quantization import QuantType, quantize_dynamic
            from onnxruntime.quantization.shape_inference import quant_pre_process

            folded = path.with_name(f"{tower}.folded.onnx")  # weights as initializers: only those are quantised
            large = self.arch.startswith("ViT-L")  # the exporter put its weights into files of their own
            quant_pre_process(
                self.onnx(tower, "f32"), folded, skip_symbolic_shape=True,
                save_as_external_data=large, all_tensors_to_one_file=True,
                external_data_location=f"{tower}.folded.data" if large else None,
            )  # fmt: skip
            quantize_dynamic(
                folded, path, per_channel=True, weight_type=QuantType.QInt8, use_external_data_format=large
            )

        return made(self.path(f"{tower}.{precision}.onnx"), quantise if precision == "int8" else export)

    def openvino(self, tower: str, precision: str) -> Path:
        """bf16 and f32 are one file: which of them computes is said when it is compiled."""
        stored = "int8" if precision == "int8" else "f32"

        def make(path: Path) -> None:
            import openvino

            if stored == "f32":
                import torch

                sample = torch.from_numpy(self.inputs(tower)[:2])
                model = openvino.convert_model(self.tower(tower), example_input=sample)
            else:
                import nncf

                model = openvino.Core().read_model(self.openvino(tower, "f32"))
                samples = nncf.Dataset([x[None] for x in self.inputs(tower)[:CALIBRATION]])
                kind = None if self.arch.startswith("RN") and tower == "image" else nncf.ModelType.TRANSFORMER
                model = nncf.quantize(model, samples, model_type=kind, preset=nncf.QuantizationPreset.MIXED)
            openvino.save_model(model, path, compress_to_fp16=False)

        return made(self.path(f"{tower}.{stored}.xml"), make)
