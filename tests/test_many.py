"""Many models in one table, here and in other processes; bad ones end nothing."""

from __future__ import annotations

import math
import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import rfwidget
from rfwidget.errors import MissingFrameworkError, ReceptiveFieldError
from rfwidget.many import survey_many
from rfwidget.types import ImageShape
from tests import nets

IMAGE = ImageShape(48, 32)

MODELS = {
    "keras": "tests.nets:keras_net",
    "broken": "tests.nets:broken",
    "torch": "tests.nets:torch_net",
    "nowhere": "tests.nowhere:net",
    "box": "tests.nets:box",
}


def dying() -> nn.Module:
    """Takes its process with it, as one does that wants too much memory."""
    os._exit(1)


def check(frame: pd.DataFrame) -> None:
    assert list(frame["model"].unique()) == list(MODELS)
    assert frame.groupby("model", sort=False).size().tolist() == [2, 1, 3, 1, 2]
    last = frame.groupby("model").last()
    assert tuple(last.loc["keras", ["layer", "size_w", "size_h", "stride_x"]]) == ("second", 9, 7, 2)
    assert tuple(last.loc["torch", ["layer", "size_w", "size_h", "stride_x"]]) == ("2", 9, 7, 2)
    bad = frame[frame["layer"].isna()].set_index("model")
    assert list(bad.index) == ["broken", "nowhere"]
    assert "RuntimeError: no weights" in bad.loc["broken", "note"]
    assert "No module named 'tests.nowhere'" in bad.loc["nowhere", "note"]
    assert math.isnan(bad.loc["broken", "size_w"])


def test_one_table_holds_all_layers_and_bad_models_end_nothing() -> None:
    told: list[tuple[float, str]] = []
    check(survey_many(MODELS, IMAGE, progress=lambda *done: told.append(done)))
    assert told == [((k + 1) / 5, name) for k, name in enumerate(MODELS)]
    assert rfwidget.survey_many is survey_many


def test_any_executor_will_do() -> None:
    with ThreadPoolExecutor(1) as threads:
        check(survey_many(MODELS, IMAGE, executor=threads))
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        check(survey_many(MODELS, IMAGE, executor=processes))


def test_an_executor_of_dask_will_do() -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        check(survey_many(MODELS, IMAGE, executor=client.get_executor()))


def test_a_process_that_dies_is_a_note_too() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        frame = survey_many({"first": nets.torch_net, "dying": dying}, IMAGE, executor=processes)
    notes = frame.set_index("model")["note"]
    assert "BrokenProcessPool" in notes["dying"]
    assert (notes["first"] == "").all() or "BrokenProcessPool" in notes["first"]


def test_what_cannot_be_sent_is_a_note() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        frame = survey_many({"lock": threading.Lock(), "torch": "tests.nets:torch_net"}, IMAGE, executor=processes)
    assert "pickle" in frame["note"][0]
    assert frame["size_w"].tolist()[1:] == [5, 5, 9]


def test_layers_can_be_chosen_and_names_come_from_the_functions() -> None:
    frame = survey_many([nets.keras_net, nets.torch_net], IMAGE, layers="[s2]*")
    assert frame[["model", "layer", "size_w"]].values.tolist() == [["keras_net", "second", 9], ["torch_net", "2", 9]]
    frame = survey_many([nets.keras_net], IMAGE, layers="third")
    assert "no layer 'third'" in frame["note"][0]


def test_local_paths_alone_can_be_measured() -> None:
    class Gated(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * x.mean((2, 3), keepdim=True)

    model = nn.Sequential(nn.Conv2d(3, 4, 3), Gated(), nn.Conv2d(4, 4, 3))
    for local, size in ((False, np.inf), (True, 5)):
        frame = survey_many({"net": model}, IMAGE, ignore_global_context=local)
        assert frame["size_w"].iloc[-1] == size


@pytest.mark.parametrize(
    ("builders", "words"),
    [
        ([], "builders is empty"),
        ({}, "builders is empty"),
        (5, "builders is 5"),
        ([nets.torch_net, nets.torch_net], "two models are called 'torch_net'"),
    ],
)
def test_bad_input_is_refused(builders: Any, words: str) -> None:
    with pytest.raises(ReceptiveFieldError, match=words):
        survey_many(builders, IMAGE)
    with pytest.raises(ReceptiveFieldError, match="executor is 5"):
        survey_many(MODELS, IMAGE, executor=5)  # type: ignore[arg-type]


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingFrameworkError, match=r"pip install .rfwidget\[pandas\]"):
        survey_many(MODELS)
