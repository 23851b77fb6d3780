"""Effective fields by the workers of a cluster: two processes of this machine, and one that dies."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array
import dask.bag
import numpy as np
import numpy.typing as npt
import pytest
from distributed import Client, LocalCluster
from numpy.testing import assert_array_equal

from rfwidget import KerasReceptiveField, TorchReceptiveField
from rfwidget.errors import MissingFrameworkError, ReceptiveFieldError
from rfwidget.types import ImageShape
from tests import nets
from tests.box_filter import BoxReceptiveField

Images = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


def images(count: int) -> Images:
    return np.random.default_rng(0).normal(size=(count, 32, 48, 3)).astype(np.float32)


def torch_rf() -> TorchReceptiveField:
    rf = TorchReceptiveField(nets.torch_net)
    rf.compute(ImageShape(48, 32, 3))
    return rf


class Counting(BoxReceptiveField):
    """Notes in a file which process measured it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file

    def _build(self, *arguments: Any, **options: Any) -> Any:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        return super()._build(*arguments, **options)


def deadly(image: Images, mark: Path) -> Images:
    """The first worker that comes here dies, with all that it holds."""
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return image
    os.kill(os.getpid(), signal.SIGKILL)
    return image


def refusing(image: Images) -> Images:  # noqa: ARG001 - what a bag calls
    raise OSError("the disk is gone")


def test_two_workers_give_what_one_process_gives_to_the_last_bit(client: Client) -> None:
    rf, given = torch_rf(), images(21)
    serial = rf.effective(given)
    for data in (given, iter(given), dask.bag.from_sequence(list(given), npartitions=4)):
        shared = rf.effective(data, client=client)
        assert_array_equal(shared.map, serial.map)
        assert shared[1:5] == serial[1:5]
    assert rf.effective(given, n=5, client=client).images == 5


def test_random_weights_of_a_build_function_are_the_same_on_all_workers(client: Client) -> None:
    rf, given = KerasReceptiveField(nets.keras_net), images(12)
    rf.compute((32, 48, 3))
    assert_array_equal(rf.effective(given, client=client).map, rf.effective(given).map)
    assert rf.output_layer == "second"
    assert rf.compute((32, 48, 3)).size == (9, 7)


def test_each_worker_loads_the_model_once(client: Client, tmp_path: Path) -> None:
    rf = Counting(tmp_path / "built")
    rf.compute((32, 48, 3))
    rf.effective(dask.bag.from_sequence(list(images(24)), npartitions=12), client=client)
    here, *workers = (tmp_path / "built").read_text(encoding="utf-8").split()
    assert here == str(os.getpid())
    assert len(workers) == len(set(workers)) == 2


def test_bags_delayed_values_and_arrays_are_gone_through_where_they_are(client: Client) -> None:
    rf, given = torch_rf(), images(8)
    serial = rf.effective(given)
    halves = [dask.delayed(lambda part: part)(part) for part in (given[:3], given[3:])]
    labelled = [dask.delayed(lambda part: (part, [0] * len(part)))(part) for part in (given[:3], given[3:])]
    lists = [dask.delayed(list)(part) for part in (given[:3], given[3:])]
    whole = dask.array.from_array(given, chunks=(3, -1, -1, -1))
    for data in (halves, labelled, lists, whole):
        assert_array_equal(rf.effective(data, client=client).map, serial.map)
    assert rf.effective(dask.delayed(lambda: given)(), client=client).images == 8


def test_a_worker_that_is_killed_midway_loses_nothing(client: Client, tmp_path: Path) -> None:
    rf, given = torch_rf(), images(20)
    before = set(client.run(os.getpid).values())
    bag = dask.bag.from_sequence(list(given), npartitions=10).map(deadly, tmp_path / "died")
    shared = rf.effective(bag, client=client)
    assert (tmp_path / "died").exists()
    client.wait_for_workers(2)
    assert set(client.run(os.getpid).values()) != before
    assert shared.images == 20
    assert_array_equal(shared.map, rf.effective(given).map)


def test_it_stops_when_the_field_is_steady_and_tells_how_far_it_is(client: Client) -> None:
    told: list[float] = []
    rf = torch_rf()
    bag = dask.bag.from_sequence(list(images(40)), npartitions=20)
    field = rf.effective(bag, client=client, tolerance=0.3, progress=lambda fraction, _: told.append(fraction))
    assert 2 <= field.images < 40
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.filterwarnings("ignore:Task exception was never retrieved")
def test_what_a_worker_meets_is_said_here(client: Client) -> None:
    rf, given = torch_rf(), list(images(3))
    bag = dask.bag.from_sequence(given, npartitions=3)
    with pytest.raises(ReceptiveFieldError, match="OSError: the disk is gone"):
        rf.effective(bag.map(refusing), client=client)
    small = dask.bag.from_sequence([*given, given[0][:5]], npartitions=2)
    with pytest.raises(ReceptiveFieldError, match=r"image 1 of the data set: the image is 48x5 pixels"):
        rf.effective(small, client=client)
    with pytest.raises(ReceptiveFieldError, match="images is empty"):
        rf.effective([], client=client)
    with pytest.raises(ReceptiveFieldError, match="n cannot be used with a bag"):
        rf.effective(bag, n=3, client=client)


def test_a_model_that_cannot_be_sent_is_refused(client: Client) -> None:
    class Unsendable(BoxReceptiveField):
        def __reduce__(self) -> Any:
            raise TypeError("not for sending")

        def __copy__(self) -> Unsendable:
            return self

    rf = Unsendable()
    rf.compute((32, 48, 3))
    with pytest.raises(ReceptiveFieldError, match="cannot be sent to the workers: TypeError: not for sending"):
        rf.effective(images(2), client=client)


def test_without_dask_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    rf = BoxReceptiveField()
    rf.compute((32, 48, 3))
    with pytest.raises(MissingFrameworkError, match=r"pip install .rfwidget\[dask\]"):
        rf.effective(client=object())
