"""The command line: ``rfwidget survey``, ``show``, ``plot``, ``effective``, ``compare`` and ``check``.

Results go to standard output, progress and notes to standard error. Exit status 0 is success, 1 a check that does not
hold, 2 an input that cannot be used: one line on standard error says which. Frameworks load when a model is opened, so
that help is quick.
"""

from __future__ import annotations

import csv
import inspect
import json
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rfwidget._version import __version__
from rfwidget.errors import ReceptiveFieldError
from rfwidget.ranks import RANKS, measured

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rfwidget.effective import EffectiveField
    from rfwidget.estimator import ReceptiveField
    from rfwidget.survey import Survey

FAILED, UNUSABLE, BROKEN = 1, 2, 70
"""Exit status of a check that does not hold, of bad input, and of a mistake in this program."""

_PICTURES = (".png", ".svg", ".pdf")

_MODEL = """MODEL is a .keras file, a folder with a SavedModel, a TorchScript or torch.export file, an .onnx file (with
onnx2torch), or package.module:function, which builds a model or is one. Files that run code when they are loaded are
refused unless --trust is given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: as typed, without the name of the program; None: those of this process.

    Returns:
        The exit status.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # people name modules of the folder that they are in
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what a framework says when it starts is no note of ours
    try:
        with _notes():
            status = cli.main(args=arguments, prog_name="rfwidget", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except click.ClickException as error:
        return _refused(error.format_message(), error.ctx if isinstance(error, click.UsageError) else None)
    except ReceptiveFieldError as error:
        return _refused(str(error))
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return 130
    except OSError as error:
        return _refused(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except SystemExit:
        return _refused("the code of the model ended the program: expected a module that can be imported")
    except Exception:
        traceback.print_exc()
        click.echo("rfwidget: this is a mistake in rfwidget, not in what you gave; please report it", err=True)
        return BROKEN


def _refused(message: str, context: click.Context | None = None) -> int:
    """Say in one line what cannot be used."""
    help_ = f" (see {context.command_path} --help)" if context is not None else ""
    click.echo(f"rfwidget: {' '.join(message.split())}{help_}", err=True)
    return UNUSABLE


@contextmanager
def _notes() -> Iterator[None]:
    """Warnings of this package as notes on standard error, one line each; those of frameworks are left out."""
    package = str(Path(__file__).parent)

    def show(message: Warning | str, category: type[Warning], filename: str, *_: Any) -> None:
        if issubclass(category, UserWarning) and filename.startswith(package) and not _quiet():
            click.echo(f"note: {' '.join(str(message).split())}", err=True)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("default", UserWarning)
        warnings.showwarning = show  # type: ignore[assignment] # called without names
        yield


def _quiet() -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("quiet"))


def _progress() -> bool:
    """Whether to show a progress bar: to a person who has not asked for quiet."""
    return sys.stderr.isatty() and not _quiet()


# What is typed --------------------------------------------------------------------------------------------------------


class _Lengths(click.ParamType):  # type: ignore[type-arg] # generic in newer versions only
    """``96``, ``120x80`` or ``120x80x32``: one number for all axes, or one for each, x first."""

    name = "N|WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | tuple[float, ...]:
        """The number, or the numbers."""
        parts = str(value).lower().split("x")
        try:
            numbers = [float(part) for part in parts]
        except ValueError:
            numbers = []
        if len(numbers) not in RANKS or not all(number > 0 for number in numbers):
            expected = "96, or 120x80 (width x height), or 120x80x32 for a volume"
            self.fail(f"{value!r} is no length in pixels: expected {expected}", param, ctx)
        return numbers[0] if len(numbers) == 1 else tuple(numbers)


class _Numbers(click.ParamType):  # type: ignore[type-arg] # generic in newer versions only
    """``400 2`` or ``32 48 64 1``: all whole numbers that follow the name of the option."""

    def __init__(self, name: str, least: int) -> None:
        self.name = name
        self._least = least

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers."""
        try:
            numbers = tuple(int(part) for part in str(value).split())
        except ValueError:
            numbers = ()
        if not numbers or min(numbers) < self._least:
            self.fail(f"{value!r}: expected whole numbers of at least {self._least}, as 224 160 3", param, ctx)
        return numbers


class _Command(click.Command):
    """A command with options of any count of numbers, which click has for arguments only."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click, with the numbers behind such an option made one value."""
        names = {name for option in self.params if isinstance(option.type, _Numbers) for name in option.opts}
        return super().parse_args(ctx, _gathered(args, names))


class _Commands(click.Group):
    command_class = _Command


def _gathered(words: Sequence[str], names: Collection[str]) -> list[str]:
    """Words as they are typed, with whole numbers that follow one of some names put together.

    >>> _gathered(["net", "--size", "400", "2", "-q"], {"--size"})
    ['net', '--size', '400 2', '-q']
    """
    found: list[str] = []
    left = list(words)
    while left:
        found.append(word := left.pop(0))
        if word == "--":  # what follows are arguments
            break
        name, _, value = word.partition("=")
        if name not in names:
            continue
        numbers = [value] if value else []
        while left and re.fullmatch(r"-?\d+", left[0]):
            numbers.append(left.pop(0))
        if value:
            found.pop()
            found.append(f"{name}={' '.join(numbers)}")
        elif numbers:
            found.append(" ".join(numbers))
    return found + left


_LENGTHS = _Lengths()

_FILE = click.Path(path_type=Path, dir_okay=False)


class Asked(NamedTuple):
    """The options that all commands share.

    Attributes:
        input_shape: the image, sequence or volume, in the order of the framework; None: the model's own.
        input_layer: name of the image input; None: the model's first.
        local: leave out global context.
        trust: load files that run code.
    """

    input_shape: tuple[int, ...] | None
    input_layer: str | None
    local: bool
    trust: bool


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the shared options to a command; they arrive together, as ``asked``."""

    def run(input_shape: Any, input_layer: Any, local: bool, trust: bool, quiet: bool, **rest: Any) -> Any:  # noqa: ARG001 - read by _quiet
        try:
            return command(asked=Asked(input_shape, input_layer, local, trust), **rest)
        except BrokenPipeError:  # whoever reads has seen enough; what is left must not be written at the end either
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0

    run.__doc__, run.__name__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n{_MODEL}", command.__name__
    run.__click_params__ = list(getattr(command, "__click_params__", []))  # type: ignore[attr-defined]
    for option in (
        click.option("--quiet", "-q", is_flag=True, help="No progress and no notes."),
        click.option("--trust", is_flag=True, help="Load files that run code when they are loaded."),
        click.option("--local", is_flag=True, help="Leave out global context: global pooling, attention, ..."),
        click.option("--input-layer", metavar="NAME", help="Name of the image input.  [default: the model's first]"),
        click.option(
            "--input-shape",
            type=_Numbers("N N ...", least=1),
            help="The image as the framework writes it: 224 160 3 (height width channels) for Keras, 3 224 160 for "
            "PyTorch; 400 2 or 2 400 for a sequence, 32 48 64 1 (depth first) or 1 32 48 64 for a volume.  "
            "[default: the model's own]",
        ),
    ):
        run = option(run)
    return run


def _format(*names: str) -> Callable[..., Any]:
    return click.option(
        "--format",
        "format_",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        help="What is written to standard output.",
    )


_layer = click.option("--layer", metavar="NAME", help="Name of the layer.  [default: the last one with a grid]")
_image = click.option("--image", type=_FILE, metavar="FILE", help="A photo, scaled and cropped to the model's input.")
_preprocess = click.option(
    "--preprocess", metavar="MODULE:FUNCTION", help="What the image goes through before it enters the model."
)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="rfwidget")
def cli() -> None:
    """See what a convolutional network sees: receptive fields of its layers, measured exactly.

    A receptive field is the part of the image that can influence one cell of a layer's output. Sizes are in pixels,
    width before height. Sequences and volumes are measured, too.
    """


@cli.command()
@click.argument("model")
@_format("table", "csv", "json", "html")
@click.option("--layers", metavar="GLOB", help="Only layers whose names fit, '*_conv1' say.")
@_shared
def survey(model: str, format_: str, layers: str | None, asked: Asked) -> None:
    """List all layers of MODEL with their receptive fields.

    Size and stride are in pixels; the offset is the centre of the field of the first cell.
    """
    _, found = _surveyed(model, asked)
    if layers is not None:
        found = found.matching(layers)
    if format_ == "table":
        _print_table(found)
    else:
        writers: dict[str, Callable[[], str]] = {"csv": found.to_csv, "json": found.to_json, "html": found.to_html}
        click.echo(writers[format_](), nl=False)


@cli.command()
@click.argument("model")
@click.option("--layer", "layers", multiple=True, metavar="NAME", help="A layer to show; may be given several times.")
@_image
@_preprocess
@click.option("--cells", type=click.IntRange(min=1), help="How many gradient maps to embed for each layer.")
@click.option("--output", "-o", type=_FILE, required=True, metavar="FILE", help="The page, rf.html say.")
@_shared
def show(
    model: str,
    layers: tuple[str, ...],
    image: Path | None,
    preprocess: str | None,
    cells: int | None,
    output: Path,
    asked: Asked,
) -> None:
    """Write a page that shows what the cells of MODEL see.

    A reader hovers, clicks and asks, as in the notebook. The page is one file: it needs no Python and no network.
    """
    from rfwidget.widget import RFWidget

    rf = _computed(model, layers[0] if layers else None, asked)
    widget = RFWidget(
        rf,
        input_shape=rf.input_shape,
        input_layer=rf.input_layer,
        output_layer=rf.output_layer,
        image=None if image is None else _photo(image, rf),
        preprocess=_function(preprocess),
    )
    size = widget.to_html(output, layers=layers or None, cells=cells, progress=_progress())
    widget.close()
    _note(f"{output}: {size / 1024:.0f} KiB")


@cli.command()
@click.argument("model")
@click.option(
    "--kind",
    type=click.Choice(["survey", "grid", "gradient", "effective"]),
    default="survey",
    show_default=True,
    help="All layers; the cells of one layer on the image; the gradient map of one cell; the effective field.",
)
@_layer
@_image
@click.option(
    "--cell",
    type=_Numbers("X [Y [Z]]", least=0),
    help="The cell of a gradient map: 20 12, or 200 of a sequence, 6 4 6 of a volume.  [default: the central one]",
)
@click.option("--output", "-o", type=_FILE, required=True, metavar="FILE", help="The picture: .png, .svg or .pdf.")
@_shared
def plot(
    model: str,
    kind: str,
    layer: str | None,
    image: Path | None,
    cell: tuple[int, ...] | None,
    output: Path,
    asked: Asked,
) -> None:
    """Draw the receptive fields of MODEL into a picture."""
    _check_picture(output)
    if kind == "survey":
        _save(_surveyed(model, asked)[1].plot, output)
        return
    rf = _computed(model, layer, asked)
    picture = None if image is None else _photo(image, rf)
    if kind == "grid":
        _save(lambda: rf.plot_rf_grid(picture), output)
    elif kind == "gradient":
        middle = tuple(int(count) // 2 for count in rf.output_shape.size)
        _save(lambda: rf.plot_gradient_at(cell or middle, picture), output)
    else:
        found = rf.effective(None if picture is None else [picture], progress=_progress())
        _save(lambda: rf.plot_effective(found), output)


@cli.command()
@click.argument("model")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
@_layer
@click.option("--fit", is_flag=True, help="Scale and crop images that are not of the size of the model's input.")
@_preprocess
@click.option("--tolerance", type=float, metavar="SHARE", help="Stop when the areas are known to this share, 0.01 say.")
@_format("table", "json")
@click.option("--save", type=_FILE, metavar="FILE", help="Keep the field, to be loaded and added to others: .npz.")
@click.option("--output", "-o", type=_FILE, metavar="FILE", help="A picture of the field: .png, .svg or .pdf.")
@_shared
def effective(
    model: str,
    images: tuple[Path, ...],
    layer: str | None,
    fit: bool,
    preprocess: str | None,
    tolerance: float | None,
    format_: str,
    save: Path | None,
    output: Path | None,
    asked: Asked,
) -> None:
    """Measure what MODEL really uses of its field on IMAGES.

    IMAGES are files, or folders of files.
    """
    if output is not None:
        _check_picture(output)
    files = _image_files(images)
    rf = _computed(model, layer, asked)
    function = _function(preprocess)
    pictures = (rf.model_input(_read(file, rf, fit=fit), rf.input_shape, function) for file in files)
    found = rf.effective(pictures, n=len(files), tolerance=tolerance, progress=_progress())
    _print_effective(found, rf.output_layer, format_)
    if save is not None:
        found.save(save)
    if output is not None:
        _save(lambda: rf.plot_effective(found), output)


@cli.command()
@click.argument("a")
@click.argument("b")
@click.option(
    "--layer",
    "layers",
    multiple=True,
    metavar="NAME",
    help="The layer of both, or given twice: of A, of B.  [default: the last ones with a grid]",
)
@_format("table", "csv", "json")
@click.option("--output", "-o", type=_FILE, metavar="FILE", help="A picture of all layers of both: .png, .svg or .pdf.")
@_shared
def compare(a: str, b: str, layers: tuple[str, ...], format_: str, output: Path | None, asked: Asked) -> None:
    """Set a layer of model A beside one of model B. A and B are what MODEL is elsewhere."""
    if len(layers) > 2:
        raise click.UsageError("--layer was given more than twice: once for both models, or once for each")
    if output is not None:
        _check_picture(output)
    surveys, rows = [], []
    for model, name in zip((a, b), layers * 2 if len(layers) == 1 else layers or (None, None), strict=True):
        rf, found = _surveyed(model, asked)
        surveys.append(found)
        rows.append(found.only(name or _last_layer(rf, found, asked)))
    _print_compared((a, b), rows, format_)
    if output is not None:
        from rfwidget import plotting

        _save(lambda: plotting.compare(*surveys, labels=[a, b])[0], output)


@cli.command()
@click.argument("model")
@_layer
@click.option("--size", type=_LENGTHS, help="The field is of exactly this size.")
@click.option("--stride", type=_LENGTHS, help="It moves by exactly this much from cell to cell.")
@click.option("--min-size", type=_LENGTHS, help="It is at least of this size.")
@click.option("--max-stride", type=_LENGTHS, help="It moves by at most this much from cell to cell.")
@click.option("--covers", type=_LENGTHS, help="An object of this size is seen whole by some cell, wherever it lies.")
@_shared
def check(model: str, layer: str | None, asked: Asked, **expected: float | tuple[float, ...] | None) -> int:
    """Check what a layer of MODEL sees, for tests.

    The exit status is 0 if all of it holds, else 1, and a line says why. It needs no weights and no data: for
    continuous integration, which so finds an architecture that has been changed by mistake.
    """
    if not any(expected.values()):
        raise click.UsageError("nothing is expected: give --size, --stride, --min-size, --max-stride or --covers")
    rf = _computed(model, layer, asked)
    from rfwidget.testing import expectations

    found = expectations(
        rf,
        size=expected["size"],
        stride=expected["stride"],
        at_least=expected["min_size"],
        max_stride=expected["max_stride"],
        covers=expected["covers"],
    )
    failed = [line for line in found if not line.holds]
    where = f"layer {rf.output_layer!r} on {measured(rf.input_shape.size)}"
    words = "; ".join(f"{line.what}: {line.measured} (expected {line.expected})" for line in failed or found)
    click.echo(_coloured(f"{'failed' if failed else 'ok'}: {where}: {words}", "red" if failed else "green"))
    return FAILED if failed else 0


# How it is done -------------------------------------------------------------------------------------------------------


def _open(model: str, asked: Asked) -> tuple[ReceptiveField, Any]:
    """An estimator, and the shape to ask it about."""
    from rfwidget.loading import load

    found = load(model, trust=asked.trust)
    return found.rf, asked.input_shape or found.shape


def _surveyed(model: str, asked: Asked) -> tuple[ReceptiveField, Survey]:
    rf, shape = _open(model, asked)
    return rf, rf.survey(shape, asked.input_layer, ignore_global_context=asked.local, progress=_progress())


def _last_layer(rf: ReceptiveField, found: Survey, asked: Asked) -> str:
    """The layer that is measured where none is named."""
    rf.compute(found.input_shape, asked.input_layer, ignore_global_context=asked.local)
    return rf.output_layer


def _computed(model: str, layer: str | None, asked: Asked) -> ReceptiveField:
    rf, shape = _open(model, asked)
    rf.compute(shape, asked.input_layer, layer, ignore_global_context=asked.local)
    return rf


def _function(name: str | None) -> Callable[[Any], Any] | None:
    from rfwidget.loading import imported

    return None if name is None else imported(name)


def _photo(path: Path, rf: ReceptiveField) -> npt.NDArray[np.uint8]:
    return _read(path, rf, fit=True)


def _read(path: Path, rf: ReceptiveField, *, fit: bool) -> npt.NDArray[np.uint8]:
    """A picture file as an array ``(h, w, 3)``; ``fit``: scaled and cropped to the model's input."""
    from rfwidget.image import fit_picture, read_picture
    from rfwidget.types import Size

    pixels = read_picture(path)
    shape = rf.input_shape
    if len(shape.size) != 2:
        thing = RANKS[len(shape.size)].thing
        raise ReceptiveFieldError(
            f"{path} is a picture, and the model takes a {thing}: leave it out for a sample {thing}"
        )
    if pixels.shape[:2] == (shape.h, shape.w):
        return pixels
    if not fit:
        raise ReceptiveFieldError(
            f"{path} is {pixels.shape[1]}x{pixels.shape[0]} pixels, the model's input {shape.w}x{shape.h}: give images "
            "of one size and that as --input-shape, or --fit to scale and crop them"
        )
    _note(f"{path}: {pixels.shape[1]}x{pixels.shape[0]} pixels scaled and cropped to {shape.w}x{shape.h}")
    return fit_picture(pixels, Size(shape.w, shape.h))


def _image_files(paths: Sequence[Path]) -> list[Path]:
    """The files, and those in the folders, in order."""
    from rfwidget.image import PICTURE_SUFFIXES

    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += sorted(file for file in path.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES)
        elif path.exists():
            files.append(path)
        else:
            raise ReceptiveFieldError(f"no such file: {str(path)!r}")
    if not files:
        raise ReceptiveFieldError(f"no images in {', '.join(map(str, paths))}: expected {', '.join(PICTURE_SUFFIXES)}")
    return files


def _check_picture(path: Path) -> None:
    if path.suffix.lower() not in _PICTURES:
        raise ReceptiveFieldError(f"{path} is no name of a picture: expected one that ends in {', '.join(_PICTURES)}")


def _save(draw: Callable[[], Any], path: Path) -> None:
    """Draw without a display, and write the figure."""
    import matplotlib as mpl

    mpl.use("agg")
    ax = draw()
    ax.figure.savefig(path)
    _note(f"{path}: {path.stat().st_size / 1024:.0f} KiB")


def _note(words: str) -> None:
    if not _quiet():
        click.echo(words, err=True)


def _coloured(text: str, colour: str) -> str:
    """Text for a terminal in colour; where it goes elsewhere, or nobody wants colours, click leaves the text alone."""
    return text if os.environ.get("NO_COLOR") else click.style(text, fg=colour)


def _print_table(found: Survey) -> None:
    title, blank, head, *lines = str(found).splitlines()
    click.echo(title + "\n" + blank)
    click.echo(head if os.environ.get("NO_COLOR") else click.style(head, bold=True))
    for row, line in zip(found, lines, strict=True):
        click.echo(_coloured(line, "yellow") if all(row.unproductive) or row.note else line)


def _print_compared(models: Sequence[str], found: Sequence[Survey], format_: str) -> None:
    """One layer each of some models: in JSON and CSV one entry each, in the table one column each."""
    if format_ == "table":
        from rfwidget.survey import in_words

        words = [
            {"model": model, "image": _image_in_words(one), **in_words(one[0])}
            for model, one in zip(models, found, strict=True)
        ]
        widths = [max(map(len, column.values())) for column in words]
        for name in words[0]:
            cells = (column[name].ljust(width) for column, width in zip(words, widths, strict=True))
            click.echo(f"{name:8}  {'  '.join(cells)}".rstrip())
        return
    entries: list[dict[str, Any]] = []
    for model, one in zip(models, found, strict=True):
        shape = one.input_shape
        (layer,) = json.loads(one.to_json())["layers"]
        sides = {f"image_{name}": length for name, length in zip("whd", shape.size, strict=False)}
        entries.append({"model": model, **sides, **layer})
    if format_ == "json":
        click.echo(json.dumps(entries, indent=1))
    else:
        writer = csv.DictWriter(sys.stdout, list(entries[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(entries)


def _image_in_words(found: Survey) -> str:
    return " x ".join(f"{length}" for length in found.input_shape.size)


def _print_effective(found: EffectiveField, layer: str, format_: str) -> None:
    spread = found.spread
    figures = {
        "layer": layer,
        "images": found.images,
        "cells": len(found.points),
        "size": list(found.size),
        "radius": list(found.radius),
        "ratio": list(found.ratio),
        "area_ratios": {f"{fraction:g}": ratio for fraction, ratio in found.area_ratios.items()},
        "spread": None if spread is None else {f"{fraction:g}": value for fraction, value in spread.items()},
    }
    if format_ == "json":
        click.echo(json.dumps(figures, indent=1))
        return
    field = " x ".join(f"{length:g}" for length in found.size)
    click.echo(f"{layer}: {found.images} images, {len(found.points)} cells, field {field}")
    effective = " x ".join(f"{4 * radius:.4g}" for radius in found.radius)
    click.echo(f"effective size {effective} {RANKS[len(found.size)].unit}")
    for fraction, ratio in found.area_ratios.items():
        about = "" if spread is None else f" (+- {spread[fraction]:.2%})"
        click.echo(f"{fraction:4.0%} of the mass in {ratio:.2%}{about} of the area")
