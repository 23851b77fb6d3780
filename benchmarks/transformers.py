"""Transformers of timm and of keras-hub, untrained, measured where their tokens stand: `docs/transformer-models.md`.

    RFWIDGET_ZOO=../zoo python -m benchmarks.transformers --wing torch          # see benchmarks/torch_zoo.py
    RFWIDGET_HUB=../hub python -m benchmarks.transformers --wing keras          # see benchmarks/keras_zoo.py
    python -m benchmarks.transformers --wing torch --models vit,swin            # some, printed only

Each run writes the table of its wing; what stands in the page for the other one is kept. The models of timm are those
of their names with fewer or narrower blocks where that is said; those of keras-hub stand in
`benchmarks.keras_zoo_models`.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.machine import describe_machine
from rfwidget.errors import ReceptiveFieldError
from rfwidget.estimator import ReceptiveField
from rfwidget.types import Size

PAGE = Path(__file__).resolve().parent.parent / "docs" / "transformer-models.md"

HEADINGS = ("model", "image", "layer", "grid", "beside it", "size", "stride", "local size", "layers", "compute (s)",
            "survey (s)")  # fmt: skip


class Subject(NamedTuple):
    """One model.

    Attributes:
        name: in the table.
        make: makes its estimator.
        shape: of the image, in the framework's order; None: the model's own.
    """

    name: str
    make: Callable[[], ReceptiveField]
    shape: tuple[int, ...] | None = None


def torch_subjects() -> list[Subject]:
    """Models of timm."""
    from benchmarks.torch_zoo import timm
    from rfwidget.torch import TorchReceptiveField

    package, square, wide = timm(), (3, 224, 224), (3, 96, 160)

    def of(name: str, shape: tuple[int, ...], words: str = "", **settings: Any) -> Subject:
        def make() -> ReceptiveField:
            return TorchReceptiveField(package.create_model(name, pretrained=False, **settings))

        return Subject(f"{name}{words}", make, shape)

    narrow = {"depths": (2, 2, 2, 2), "embed_dim": 48, "num_heads": (3, 3, 3, 3)}
    return [
        of("vit_tiny_patch16_224", square),
        of("vit_tiny_patch16_224", wide, ", 4 blocks", img_size=wide[1:], depth=4),
        of("vit_small_patch14_reg4_dinov2", (3, 126, 182), ", 4 blocks", img_size=(126, 182), depth=4),
        of("deit_tiny_patch16_224", square),
        of("deit_tiny_distilled_patch16_224", square),
        of("beit_base_patch16_224", square, ", 4 narrow blocks", depth=4, embed_dim=48, num_heads=2),
        of("swin_tiny_patch4_window7_224", square, ", narrow", **narrow),
        of("swinv2_cr_tiny_ns_224", square),
        of("convnext_atto", wide),
        of("levit_128s", square),
        of("pvt_v2_b0", wide),
        of("twins_svt_small", square),
        of("hiera_tiny_224", square),
        of("maxvit_rmlp_pico_rw_256", (3, 256, 256)),
    ]


def keras_subjects() -> list[Subject]:
    """Backbones of keras-hub."""
    from benchmarks.keras_zoo_models import RECIPES
    from rfwidget.keras import KerasReceptiveField

    names = ("ViT-Ti", "DeiT-Ti", "DINOv2", "DINOv3", "CLIP vision", "SigLIP vision", "MiT-B0", "SegFormer-B0",
             "ViTDet", "ViTDet (windows only)", "Swin-T")  # fmt: skip

    def of(name: str) -> Subject:
        return Subject(name, lambda: KerasReceptiveField(RECIPES[name].make()))

    return [of(name) for name in names]


def row(subject: Subject) -> tuple[str, ...]:
    """What is measured of a model."""
    try:
        rf = subject.make()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            began = time.perf_counter()
            whole = rf.compute(subject.shape)
            computed = time.perf_counter() - began
        layer, grid, beside = rf.output_layer, rf.output_shape.size, rf.extra_tokens
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            layers = len(list(rf.survey(subject.shape)))
            surveyed = time.perf_counter() - began
            local = ""
            if math.isinf(sum(whole.size)):
                local = _size(rf.compute(subject.shape, output_layer=layer, ignore_global_context=True).size)
    except ReceptiveFieldError as error:
        return (subject.name, "", str(error).replace("|", "/"), *[""] * (len(HEADINGS) - 3))
    inside = " (inside the image)" if any("inside the image" in str(one.message) for one in warned) else ""
    numbers = ", ".join(name[name.rindex("[") :] for name in beside)
    return (
        subject.name,
        _by(rf.input_shape.size),
        f"`{layer}`",
        _by(grid),
        numbers,
        _size(whole.size) + inside,
        _by(whole.stride),
        local,
        str(layers),
        f"{computed:.1f}",
        f"{surveyed:.1f}",
    )


def _by(pair: Any) -> str:
    return " x ".join(f"{n:g}" for n in pair)


def _size(size: Size) -> str:
    return "unbounded" if math.isinf(sum(size)) else _by(size)


def written(rows: list[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wing", choices=("torch", "keras"), required=True)
    parser.add_argument("--models", help="parts of names, with commas between them; the table is printed only")
    asked = parser.parse_args()
    subjects = torch_subjects() if asked.wing == "torch" else keras_subjects()
    if asked.models:
        subjects = [one for one in subjects if any(part in one.name for part in asked.models.split(","))]
    rows: list[tuple[str, ...]] = []
    for subject in subjects:
        rows.append(row(subject))
        print(" | ".join(rows[-1]), flush=True)
        if not asked.models:
            write(asked.wing, rows)


def write(wing: str, rows: list[tuple[str, ...]]) -> None:
    """Put the table of a wing into the page."""
    begin, end = f"<!-- {wing} -->\n", f"<!-- end of {wing} -->\n"
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(begin)
    _, _, behind = rest.partition(end)
    machine = f"\nWritten by `python -m benchmarks.transformers --wing {wing}` on {describe_machine()}.\n"
    PAGE.write_text(f"{before}{begin}{written(rows)}{machine}{end}{behind}", encoding="utf-8")


if __name__ == "__main__":
    main()
