"""Effective fields beside those of OpenERF (https://pypi.org/project/openerf/), on timm models with random weights.

    python -m benchmarks.openerf [--images 8] [--models resnet18 ...]

Needs ``timm``, ``torchvision`` and ``openerf``. Both tools see the same weights and the same images, each in a process
of its own. OpenERF's map is that of one cell near the middle: the gradient of the mean of its channels, averaged over
the image's channels, negative values set to zero, added up over the images, and scaled to a sum of one. The same is
made here of `gradient_at`. (`effective` itself adds up magnitudes: of all channels, and of several central cells.)
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Case(NamedTuple):
    """A model, and the cell that OpenERF takes.

    Attributes:
        theirs: the layer as OpenERF calls it.
        ours: as rfwidget calls it.
        point: the cell: the centre, or of an even grid of tokens the one before it.
    """

    theirs: str
    ours: str
    point: tuple[int, int]


CASES = {
    "resnet18": Case("layer4", "layer4", (3, 3)),
    "convnext_atto": Case("stages", "stages", (3, 3)),
    "swin_tiny_patch4_window7_224": Case("forward_features", "norm", (3, 3)),
    "vit_tiny_patch16_224": Case("norm", "norm", (6, 6)),
    "deit_tiny_patch16_224": Case("norm", "norm", (6, 6)),
}


def model_of(name: str) -> Any:
    """The model; its weights are random and always the same."""
    import timm
    import torch

    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False).eval()


def save_images(folder: Path, count: int) -> None:
    """The sample images, and those again, rolled."""
    from PIL import Image

    from rfwidget.image import get_default_image, get_default_images

    names = get_default_images()
    for number in range(count):
        picture = get_default_image((256, 256), name=names[number % len(names)])
        turned = np.roll(picture, 37 * (number // len(names)), axis=(0, 1))
        Image.fromarray(turned).save(folder / f"{number:03}.png")


def theirs(name: str, folder: Path, out: Path) -> dict[str, float]:
    """OpenERF's map."""
    from openerf import compute_erf

    model = model_of(name)
    begin = time.perf_counter()
    found = compute_erf(model, image_dir=folder, target_layer=CASES[name].theirs, device="cpu", show_progress=False)
    seconds = time.perf_counter() - begin
    np.save(out, found.erf_map)
    return {"maps": seconds / found.num_images, "field": 0.0}


def ours(name: str, folder: Path, out: Path) -> dict[str, float]:
    """The same of gradient maps of rfwidget, which measures the theoretical field before."""
    from PIL import Image
    from timm.data import create_transform, resolve_model_data_config

    from rfwidget.torch import TorchReceptiveField

    model = model_of(name)
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    rf = TorchReceptiveField(model)
    begin = time.perf_counter()
    rf.compute((3, 224, 224), output_layer=CASES[name].ours)
    computed = time.perf_counter()
    total = np.zeros((224, 224))
    paths = sorted(folder.iterdir())
    for path in paths:
        image = transform(Image.open(path).convert("RGB")).numpy().transpose(1, 2, 0)
        total += np.maximum(rf.gradient_at(CASES[name].point, image).mean(axis=-1), 0)
    seconds = time.perf_counter() - computed
    np.save(out, total / total.sum())
    return {"maps": seconds / len(paths), "field": computed - begin}


def main() -> None:
    """The table, as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--tool", choices=["theirs", "ours"])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.tool:
        found = {"theirs": theirs, "ours": ours}[given.tool](given.models[0], given.folder, given.out)
        found["mebibytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    print("| model | cell | difference | OpenERF s/image | rfwidget s/image | field s | OpenERF MiB | rfwidget MiB |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as held:
        folder = Path(held, "images")
        folder.mkdir()
        save_images(folder, given.images)
        for name in given.models:
            maps, facts = {}, {}
            for tool in ("theirs", "ours"):
                out = Path(held, f"{tool}.npy")
                command = [sys.executable, "-m", "benchmarks.openerf", "--tool", tool, "--models", name]
                done = subprocess.run(
                    [*command, "--folder", str(folder), "--out", str(out)], capture_output=True, text=True, check=False
                )
                if done.returncode:
                    raise SystemExit(f"{name} with {tool}: {done.stderr[-2000:]}")
                facts[tool], maps[tool] = json.loads(done.stdout.splitlines()[-1]), np.load(out)
            apart = np.abs(maps["theirs"] - maps["ours"]).max() / maps["theirs"].max()
            print(
                f"| {name} | {CASES[name].point} | {apart:.1e} | {facts['theirs']['maps']:.3f} "
                f"| {facts['ours']['maps']:.3f} | {facts['ours']['field']:.1f} "
                f"| {facts['theirs']['mebibytes']:.0f} | {facts['ours']['mebibytes']:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
