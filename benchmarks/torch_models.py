"""Receptive fields of the models of torchvision and timm, untrained: which can be measured, and how long it takes.

    RFWIDGET_ZOO=../zoo python -m benchmarks.torch_models                 # see benchmarks/torch_zoo.py
    RFWIDGET_ZOO=../zoo python -m benchmarks.torch_models --table docs/torch-models.md
    RFWIDGET_ZOO=../zoo python -m benchmarks.torch_models --models resnet18,timm:swin_tiny_patch4_window7_224

The layer is the last one with a grid. ``local`` is the size without global context, where there is some.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from benchmarks.torch_zoo import timm, torchvision_models
from rfwidget.errors import ReceptiveFieldError
from rfwidget.torch import TorchReceptiveField
from rfwidget.types import Size

TORCHVISION = (
    "alexnet vgg16 resnet18 resnet50 wide_resnet50_2 resnext50_32x4d densenet121 googlenet inception_v3 mobilenet_v2 "
    "mobilenet_v3_small mobilenet_v3_large mnasnet1_0 shufflenet_v2_x1_0 squeezenet1_1 regnet_y_400mf efficientnet_b0 "
    "efficientnet_v2_s convnext_tiny swin_t swin_v2_t maxvit_t vit_b_16"
)
SEGMENTATION = "segmentation.fcn_resnet50 segmentation.deeplabv3_resnet50 segmentation.lraspp_mobilenet_v3_large"
TIMM = (
    "resnet26d resnetv2_50 seresnet50 resnest26d res2net50_26w_4s skresnet18 dpn68 dla34 xception41 selecsls42b "
    "nasnetalarge pnasnet5large inception_v4 inception_resnet_v2 efficientnet_lite0 tf_efficientnet_b0 mixnet_s "
    "mobilenetv4_conv_small ghostnet_100 fbnetc_100 rexnet_100 hardcorenas_a tinynet_a lcnet_050 vovnet39a "
    "hrnet_w18_small cspresnet50 darknet53 repvgg_a0 mobileone_s0 convnextv2_atto convmixer_768_32 focalnet_tiny_srf "
    "swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 cait_xxs24_224 coat_tiny crossvit_tiny_240 deit_tiny_patch16_224 "
    "levit_128s mixer_s32_224 mvitv2_tiny nest_tiny_jx pit_ti_224 poolformer_s12 pvt_v2_b0 twins_svt_small "
    "volo_d1_224 xcit_nano_12_p16_224 visformer_tiny efficientformer_l1 edgenext_xx_small mobilevit_xxs fastvit_t8 "
    "maxxvit_rmlp_nano_rw_256 coatnet_nano_rw_224 gcvit_xxtiny davit_tiny hiera_tiny_224 inception_next_atto "
    "starnet_s1 sequencer2d_s"
)


class Row(NamedTuple):
    """What is said of one model."""

    name: str
    layer: str
    size: str
    local: str
    stride: str
    seconds: float
    note: str


def names() -> list[str]:
    """All that are looked at by default."""
    return [*TORCHVISION.split(), *SEGMENTATION.split(), *(f"timm:{name}" for name in TIMM.split())]


def built(name: str) -> nn.Module:
    """A model by its name."""
    if name.startswith("timm:"):
        model: nn.Module = timm().create_model(name[5:], pretrained=False)
        return model
    space, function = torchvision_models(), name
    settings = {"weights": None}
    if "." in name:
        part, function = name.split(".")
        space, settings = getattr(space, part), {"weights": None, "weights_backbone": None}
    if name in ("googlenet", "inception_v3"):
        settings |= {"init_weights": False}  # type: ignore[dict-item]
    module: nn.Module = getattr(space, function)(**settings)
    return module


def pixels(name: str, module: nn.Module) -> tuple[int, int, int]:
    """The image that a model is made for."""
    settings = getattr(module, "default_cfg", None) or getattr(module, "pretrained_cfg", None) or {}
    channels, height, width = settings.get("input_size", (3, 299 if name == "inception_v3" else 224, 224))
    return channels, height, height if name == "inception_v3" else width


def row(name: str) -> Row:
    """Measure one model."""
    module = built(name)
    shape = pixels(name, module)
    rf = TorchReceptiveField(module)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        began = time.perf_counter()
        try:
            found = rf.compute(shape)
        except ReceptiveFieldError as error:
            return Row(name, "", "", "", "", time.perf_counter() - began, str(error))
        seconds, uniform, layer, local = time.perf_counter() - began, all(rf.uniform), rf.output_layer, ""
        if not all(map(math.isfinite, found.size)):
            try:
                local = _size(rf.compute(shape, output_layer=layer, ignore_global_context=True).size)
            except ReceptiveFieldError:
                local = "none"
    partial = any("parts inside the image" in str(warning.message) for warning in told)
    note = "known inside the image only" if partial else "" if uniform else "cells differ"
    stride = (
        " x ".join(f"{n:g}" for n in found.stride) if found.stride[0] != found.stride[1] else f"{found.stride[0]:g}"
    )
    return Row(name, layer, _size(found.size), local, stride, seconds, note)


def _size(size: Size | tuple[float, ...]) -> str:
    words = ["unbounded" if math.isinf(n) else f"{n:g}" for n in size]
    return words[0] if words[0] == words[1] else " x ".join(words)


def table(chosen: list[str], told: Callable[[str], None]) -> bool:
    """All rows as Markdown; whether each model was measured."""
    told("| model | layer | size | local | stride | seconds | |\n|---|---|---|---|---|---|---|")
    good = True
    for name in chosen:
        try:
            found = row(name)
        except Exception as error:  # of the model's own: it cannot be built or run here
            told(f"| {name} | | | | | | {type(error).__name__}: {str(error)[:100]} |")
            good = False
            continue
        good &= bool(found.layer)
        told("| " + " | ".join([*found[:5], f"{found.seconds:.1f}", found.note]) + " |")
    return good


def main() -> int:
    """Measure models, print the table and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="", help="names, separated by commas; timm's begin with timm:")
    parser.add_argument("--table", type=Path, help="file whose table is replaced")
    given = parser.parse_args()
    torch.manual_seed(0)
    lines: list[str] = []

    def told(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    good = table(given.models.split(",") if given.models else names(), told)
    if given.table:
        before = given.table.read_text(encoding="utf-8").partition("| model |")[0]
        given.table.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
