"""What clipon must reach, as rows: a piece of work, whom it is compared with, and by how much it must be ahead.

Marks differ by the kind of machine: A has AVX-512 with VNNI and BF16, B has AMX as well, C has AVX2 and no AVX-512. C's
marks are to be ahead of every peer; two threads, and f32's share of the peak, are as elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

Marks = dict[str, float]  # kind of machine -> at least
F32_PEERS = ("openvino:f32", "onnxruntime:f32", "torch:f32", "torch-compiled:f32")
BF16_PEERS = ("openvino:bf16", "torch:bf16")
INT8_PEERS = ("onnxruntime:int8", "openvino:int8")


@dataclass(frozen=True)
class Row:
    name: str
    arch: str
    tower: str  # image, text (peers' padded to 77 tokens) or short_text (to the longest text)
    precision: str
    batch: int
    peers: tuple[str, ...]
    ratio: Marks
    peak: Marks = field(default_factory=dict)
    isa: str = "best"
    threads: int = 2
    full: bool = False
    peer_environment: tuple[tuple[str, str], ...] = ()
    note: str = ""

    @property
    def kind(self) -> str:
        """What clipon is told to run: texts without sharing their beginnings, which peers can't either."""
        return "image" if self.tower == "image" else "unshared"

    def quick(self, kind: str) -> Row:
        """Without what takes long and was never the fastest: PyTorch compiled, PyTorch on the larger models; on A ONNX
        Runtime f32 on ViT-B/16; beside int8 of a ResNet, peers in f32, which the rows before it have; of short texts,
        ONNX Runtime's int8."""
        left_out = {"torch-compiled:f32", "torch:bf16"}
        if self.arch != "ViT-B/32":
            left_out |= {"torch:f32"}
        if self.arch == "ViT-B/16" and kind == "A":
            left_out |= {"onnxruntime:f32"}
        if self.precision == "int8":
            left_out |= {"openvino:f32", "onnxruntime:f32"}
        if self.tower == "short_text":
            left_out |= {"onnxruntime:int8"}
        return replace(self, peers=tuple(peer for peer in self.peers if peer not in left_out))


def machine_kind() -> str:
    flags = set(
        next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags")), "").split()
    )
    if "amx_tile" in flags:
        return "B"
    if {"avx512_vnni", "avx512_bf16"} <= flags:
        return "A"
    return "C" if "avx2" in flags and "avx512f" not in flags else "other"


def both(value: float) -> Marks:
    return {"A": value, "B": value}


def transformer_rows(arch: str, batch: int) -> list[Row]:
    large = batch >= 32

    def row(precision: str, peers: tuple[str, ...], ratio: Marks, peak: Marks) -> Row:
        name = f"{arch} images, {precision}, batch {batch}"
        return Row(name, arch, "image", precision, batch, peers, ratio, peak if large else {})

    amx_off = Row(
        f"{arch} images, int8, batch {batch}, AMX pinned off",
        arch, "image", "int8", batch, INT8_PEERS, {"B": 1.7 if large else 1.4}, {"B": 0.80} if large else {},
        isa="avx512_bf16", full=True, peer_environment=(("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16"),),
    )  # fmt: skip
    return [
        row("f32", F32_PEERS, both(1.20), {"A": 0.95, "B": 0.80}),
        row("bf16", ("openvino:bf16",), {"A": 1.12, "B": 1.85 if large else 1.5}, {"A": 0.92, "B": 0.38}),
        row("int8", INT8_PEERS, {"A": 1.7 if large else 1.4, "B": 1.9 if large else 1.4}, {"A": 0.85, "B": 0.30}),
        amx_off,
    ]


def other_image_rows(arch: str, batch: int, marks: dict[str, Marks], peers: dict[str, tuple[str, ...]]) -> list[Row]:
    return [
        Row(f"{arch} images, {p}, batch {batch}", arch, "image", p, batch, peers[p], marks[p], full=arch != "RN50")
        for p in ("f32", "bf16", "int8")
    ]


def rows() -> list[Row]:
    every = ("openvino:f32", "onnxruntime:f32", "openvino:bf16", *INT8_PEERS)
    resnet_marks = {"f32": both(1.2), "bf16": {"A": 1.0, "B": 1.3}, "int8": {"A": 1.35, "B": 1.1}}
    resnet_peers = {"f32": every[:2], "bf16": BF16_PEERS, "int8": every}
    large_marks = {"f32": {"A": 1.12, "B": 1.2}, "bf16": {"A": 1.10, "B": 1.8}, "int8": {"A": 1.3, "B": 1.8}}
    large_peers = {"f32": F32_PEERS, "bf16": BF16_PEERS, "int8": INT8_PEERS}
    table = []
    for arch in ("ViT-B/32", "ViT-B/16"):  # batches side by side: they share their processes
        table += [row for pair in zip(*(transformer_rows(arch, n) for n in (1, 32)), strict=True) for row in pair]
    table += other_image_rows("ViT-L/14", 8, large_marks, large_peers)
    table += other_image_rows("RN50", 16, resnet_marks, resnet_peers)
    table += other_image_rows("RN50x4", 8, resnet_marks, resnet_peers)
    for arch in ("RN101", "RN50x16"):  # no mark but to be ahead
        ahead = {p: both(1.0) for p in resnet_marks}
        table += other_image_rows(arch, 8, ahead, {p: (f"openvino:{p}",) for p in ahead})

    def labels(precision: str, peers: tuple[str, ...], ratio: Marks) -> Row:
        return Row(f"64 labels, {precision}, peers at 77 tokens", "ViT-B/32", "text", precision, 64, peers, ratio)

    text_peers = {"f32": F32_PEERS[:2], "bf16": ("openvino:bf16",), "int8": INT8_PEERS}
    text_marks = {"f32": {"A": 8.5}, "bf16": {"A": 7.3}, "int8": {"A": 10.5, "B": 6.0}}
    for precision, peers in text_peers.items():
        padded = labels(precision, peers, text_marks[precision])
        name = f"64 labels, {precision}, peers at 10 tokens"  # no mark but to be ahead
        table += [padded, replace(padded, name=name, tower="short_text", ratio=both(1.0))]
    for precision in ("f32", "bf16", "int8"):
        for batch, mark in ((32, 1.9), (1, 1.75)):
            name = f"2 threads against 1, {precision}, batch {batch}"
            peers = (f"clipon:{precision}:1",)
            table.append(Row(name, "ViT-B/32", "image", precision, batch, peers, both(mark), full=precision == "bf16"))
    table.append(
        Row(
            "AVX2 pinned, f32, batch 32",
            "ViT-B/32",
            "image",
            "f32",
            32,
            ("onnxruntime:f32",),
            both(1.0),
            both(0.85),
            isa="avx2",
            note="ONNX Runtime has no switch for AVX2: it runs with all that the CPU has",
        )
    )
    return [with_marks_of_c(row) for row in table]


def with_marks_of_c(row: Row) -> Row:
    if "A" not in row.ratio:
        return row
    against_itself = all(peer.startswith("clipon") for peer in row.peers)
    ratio = row.ratio | {"C": row.ratio["A"] if against_itself else 1.0}
    return replace(row, ratio=ratio, peak=row.peak | {"C": 0.85} if row.peak and row.precision == "f32" else row.peak)
