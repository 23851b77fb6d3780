"""Images one after the other from whatever holds them; never more than one batch is in memory.

Arrays, lists, generators, ``tf.data.Dataset``, ``torch.utils.data.DataLoader`` and ``keras.utils.PyDataset`` are all
the same here: something to go through, whose items are images, batches of images, or either with labels behind. No
framework is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from rfwidget import _validation
from rfwidget.errors import ReceptiveFieldError
from rfwidget.image import check_finite, default_inputs, fit_model
from rfwidget.types import GridShape


class Picture(NamedTuple):
    """One image of a data set.

    Attributes:
        pixels: ``(h, w, c)`` as they came, of the model's size.
        start: share of the data set that lies before it, 0..1; None where nobody knows how long it is.
        share: its own share.
    """

    pixels: npt.NDArray[Any]
    start: float | None
    share: float


def pictures(data: Any, shape: GridShape, n: int | None = None) -> Iterator[Picture]:
    """The first ``n`` images of a data set that fit a model; see `ReceptiveField.effective`.

    Args:
        data: the data set; None: the sample images.
        shape: of the model's input.
        n: how many; None: all.

    Raises:
        ReceptiveFieldError: when it is met: no data set, an item that is no image, an image that does not fit.
    """
    if n is not None:
        _validation.whole("n", n, low=1)
    items = _as_items(data, shape)
    count = _length(items)
    done = 0
    for place, item in enumerate(items):
        batch = _unpacked(item, done, len(shape.size))
        for position, image in enumerate(batch):
            if done == n:
                return
            start, share = _progress(place, position, len(batch), count)
            if n is not None:
                start, share = done / n, 1 / n
            try:
                pixels = fit_model(image, shape)
                check_finite(pixels)
            except ReceptiveFieldError as error:
                raise ReceptiveFieldError(f"image {done} of the data set: {error}") from error
            done += 1
            yield Picture(pixels, start, share)
        if done == n:
            return


def is_endless(data: Any) -> bool:
    """Whether a data set says of itself that it never ends."""
    cardinality = getattr(data, "cardinality", None)
    try:
        return callable(cardinality) and int(cardinality()) == -1
    except TypeError:  # something else by the same name
        return False


def _as_items(data: Any, shape: GridShape) -> Any:
    """Something to go through."""
    if data is None:
        return default_inputs(shape)
    rank = len(shape.size)
    if isinstance(data, Image.Image) or getattr(data, "ndim", None) in (rank, rank + 1):
        return [data]
    if isinstance(data, (str, bytes, Mapping, Set)) or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
        raise ReceptiveFieldError(
            f"images is {type(data).__name__}, which cannot be gone through image by image: expected an array "
            f"{('n', *shape.lengths, shape.c)}, a list of images or a data set".replace("'n'", "n")
        )
    return data


def _length(items: Any) -> int | None:
    try:
        return len(items)
    except (TypeError, NotImplementedError):  # a generator, a data set that cannot know
        return None


def _progress(place: int, position: int, size: int, count: int | None) -> tuple[float | None, float]:
    if not count:
        return None, 0.0
    share = 1 / (count * size)
    return min(1.0, place / count + position * share), share


def _unpacked(item: Any, done: int, rank: int) -> list[Any]:
    """The images of an item: alone, in a batch, or first in a pair with labels."""
    if isinstance(item, (tuple, list)) and item and (hasattr(item[0], "ndim") or isinstance(item[0], Image.Image)):
        item = item[0]
    if isinstance(item, Mapping):
        raise ReceptiveFieldError(
            f"image {done} of the data set is {_validation.brief(dict(item))}: expected an image, a batch of images, "
            "or either with labels. Take the image out first: (item['image'] for item in data), say"
        )
    if getattr(item, "ndim", None) != rank + 2:
        return [item]
    if not hasattr(item, "detach"):  # tensors of PyTorch stay what they are: their channels come first
        item = np.asarray(item)
    return list(item)
