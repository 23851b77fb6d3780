"""Images from whatever holds them, one after the other, and what is said of what holds none."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from PIL import Image

from rfwidget.datasets import is_endless, pictures
from rfwidget.errors import ReceptiveFieldError
from rfwidget.types import GridShape

SHAPE = GridShape(None, 6, 4, 3)
IMAGES = np.arange(7 * 4 * 6 * 3, dtype=np.float32).reshape(7, 4, 6, 3)


class Batches(keras.utils.PyDataset):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        part = IMAGES[3 * index : 3 * index + 3]
        return part, np.zeros(len(part))


def tf_dataset() -> Any:
    """Without an import of TensorFlow's own: Keras makes data sets too."""
    return keras.utils.timeseries_dataset_from_array(IMAGES, np.zeros(7), sequence_length=1, batch_size=3).map(
        lambda x, y: (x[:, 0], y)
    )


def loader(labels: bool) -> Any:
    tensors = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy())
    parts = (tensors, torch.zeros(7)) if labels else (tensors,)
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*parts), batch_size=3)


SETS = {
    "an array": lambda: IMAGES,
    "a list": lambda: list(IMAGES),
    "a generator": lambda: (image for image in IMAGES),
    "batches": lambda: iter([IMAGES[:3], IMAGES[3:]]),
    "pairs with labels": lambda: [(image, 3) for image in IMAGES],
    "tensors": lambda: [torch.from_numpy(image.transpose(2, 0, 1).copy()) for image in IMAGES],
    "a data set of tf.data": tf_dataset,
    "a PyDataset": Batches,
    "a DataLoader": lambda: loader(labels=False),
    "a DataLoader with labels": lambda: loader(labels=True),
}


@pytest.mark.parametrize("name", SETS)
def test_every_kind_of_data_set_gives_its_images(name: str) -> None:
    found = [picture.pixels for picture in pictures(SETS[name](), SHAPE)]
    assert_array_equal(np.stack(found), IMAGES)
    assert len(list(pictures(SETS[name](), SHAPE, n=4))) == 4


def test_progress_is_known_where_the_length_is() -> None:
    for name in ("an array", "a list"):
        told = [picture.start for picture in pictures(SETS[name](), SHAPE)]
        assert told == pytest.approx(np.arange(7) / 7)
    starts = [picture.start for picture in pictures(Batches(), SHAPE)]
    assert starts == pytest.approx([0, 1 / 9, 2 / 9, 1 / 3, 4 / 9, 5 / 9, 2 / 3])
    assert [picture.start for picture in pictures(iter(IMAGES), SHAPE)] == [None] * 7
    assert [picture.start for picture in pictures(iter(IMAGES), SHAPE, n=4)] == [0, 0.25, 0.5, 0.75]


def test_one_picture_is_a_data_set_too() -> None:
    for one in (IMAGES[0], Image.new("RGB", (6, 4)), np.zeros((4, 6)), torch.zeros(3, 4, 6)):
        assert len(list(pictures(one, SHAPE))) == 1
    assert len(list(pictures(None, SHAPE))) == 5


def test_no_more_is_taken_than_is_asked_for() -> None:
    taken = []

    def endless() -> Iterator[Any]:
        while True:
            taken.append(1)
            yield IMAGES[0]

    assert len(list(pictures(endless(), SHAPE, n=5))) == 5
    assert len(taken) == 5


def test_memory_does_not_grow_with_the_data_set() -> None:
    def many(count: int) -> Iterator[Any]:
        for _ in range(count):
            yield np.zeros((40, 60, 3))

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in pictures(many(count), GridShape(None, 60, 40, 3)):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    peak(1)
    assert peak(500) < 3 * peak(5)


def test_a_data_set_that_never_ends_says_so() -> None:
    assert is_endless(tf_dataset().repeat())
    assert not is_endless(tf_dataset())
    assert not is_endless(IMAGES)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (5, "images is int"),
        ("photos", "images is str"),
        ({"a": IMAGES}, "images is dict"),
        ([{"image": IMAGES[0]}], r"image 0 of the data set is \{'image': .*item\['image'\]"),
        ([IMAGES[0], IMAGES[1][:, :3]], "image 1 of the data set: the image is 3x4 pixels"),
        ([IMAGES[0], None], "image 1 of the data set"),
        ([IMAGES[0] * np.nan], "image 0 of the data set: the image holds NaN"),
    ],
)
def test_what_holds_no_images_is_refused(data: Any, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        list(pictures(data, SHAPE))
