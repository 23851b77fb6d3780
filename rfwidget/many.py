"""Many models at once: one table of all layers of all of them, on as many processes or machines as there are.

A search over a hundred architectures meets some that cannot be built. Those are rows with a note, like layers that
could not be measured; they end nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from functools import partial
from typing import TYPE_CHECKING, Any

from rfwidget import _validation
from rfwidget._progress import Progress, reporting
from rfwidget.errors import ReceptiveFieldError
from rfwidget.extras import brought_by
from rfwidget.loading import estimator_of

if TYPE_CHECKING:
    import pandas as pd

Columns = dict[str, list[Any]]


def survey_many(
    builders: Mapping[str, Any] | Iterable[Any],
    input_shape: Any = None,
    *,
    executor: Executor | None = None,
    layers: str | None = None,
    ignore_global_context: bool = False,
    progress: Progress | bool | None = None,
) -> pd.DataFrame:
    """Survey many models, one of which may be bad.

    Args:
        builders: models by name: build functions, models, or text as on the command line
            (``"package.module:function"``, a file). Without names they get those of their functions.
        input_shape: the image for all of them, as for `ReceptiveField.survey`; an `ImageShape` fits every framework.
        executor: where they are surveyed, any of `concurrent.futures`: a ``ProcessPoolExecutor``, the
            ``get_executor()`` of a client of Dask. What is surveyed in another process must be something that can be
            sent there: a function of a module, or text. None: one after the other, in this process.
        layers: only layers whose names fit this pattern, ``"*_out"`` say.
        ignore_global_context: measure local paths only.
        progress: called with the fraction done (0..1) and a few words; True shows a progress bar.

    Returns:
        A data frame with the columns of `Survey.to_dict` and ``model`` before them, models in the order given. A model
        that could not be surveyed has one row, whose ``note`` says why and whose ``layer`` is missing.

    Raises:
        ReceptiveFieldError: if there is no model, or two have the same name.

    >>> from torch import nn
    >>> from rfwidget.types import ImageShape
    >>> frame = survey_many({"one": nn.Conv2d(3, 8, 3), "two": nn.Linear(3, 5)}, ImageShape(48, 32))
    >>> frame[["model", "layer", "size_w"]].values.tolist()
    [['one', 'conv2d', 3.0], ['two', None, nan]]
    """
    with brought_by("pandas", "pandas", what="it"):
        import pandas as pd
    named = _named(builders)
    ask = partial(
        _columns,
        input_shape=input_shape,
        layers=layers,
        local=_validation.flag("ignore_global_context", ignore_global_context),
    )
    found: dict[str, Columns] = {}
    with reporting(progress, "survey") as report:
        for name, columns in _here(named, ask) if executor is None else _elsewhere(named, ask, executor):
            found[name] = columns
            report(len(found) / len(named), name)
    frames = [pd.DataFrame({"model": name, **found[name]}) for name in named]
    return pd.concat(frames, ignore_index=True)


def _here(named: Mapping[str, Any], ask: Callable[[Any], Columns]) -> Iterator[tuple[str, Columns]]:
    for name, builder in named.items():
        yield name, ask(builder)


def _elsewhere(
    named: Mapping[str, Any], ask: Callable[[Any], Columns], executor: Executor
) -> Iterator[tuple[str, Columns]]:
    """As they come; a process that dies takes only what it had."""
    if not (hasattr(executor, "submit") and callable(executor.submit)):
        raise ReceptiveFieldError(
            f"executor is {_validation.brief(executor)}: expected one of concurrent.futures, or None for this process"
        )
    places: dict[Future[Columns], str] = {}
    for name, builder in named.items():
        try:
            places[executor.submit(ask, builder)] = name
        except Exception as error:  # the executor has been shut down, or its processes have died
            yield name, _failed(error)
    for future in as_completed(places):
        failure = future.exception()
        yield places[future], future.result() if failure is None else _failed(failure)


def _columns(builder: Any, *, input_shape: Any, layers: str | None, local: bool) -> Columns:
    """The layers of one model, in whatever process; why there are none, if there are none."""
    try:
        survey = estimator_of(builder).survey(input_shape, ignore_global_context=local)
        return (survey if layers is None else survey.matching(layers)).to_dict()
    except Exception as error:  # one bad model ends nothing, whatever it does
        return _failed(error)


def _failed(error: BaseException) -> Columns:
    words = " ".join(str(error).split()) or "no further words"
    kind = "" if isinstance(error, ReceptiveFieldError) else f"{type(error).__name__}: "
    return {"layer": [None], "size_w": [math.nan], "size_h": [math.nan], "note": [f"{kind}{words}"]}


def _named(builders: Any) -> dict[str, Any]:
    """The models by name."""
    if isinstance(builders, Mapping):
        named = {str(name): builder for name, builder in builders.items()}
        given: Sequence[Any] = list(builders)
    else:
        given = _validation.series("builders", builders, "models, or build functions")
        named = {_name_of(builder): builder for builder in given}
    if not named:
        raise ReceptiveFieldError("builders is empty: give at least one model")
    if len(named) < len(given):
        names = [_name_of(builder) for builder in given]
        twice = next(name for name in names if names.count(name) > 1)
        raise ReceptiveFieldError(f"two models are called {twice!r}: give them as {{name: model, ...}}")
    return named


def _name_of(builder: Any) -> str:
    if isinstance(builder, str):
        return builder
    name = getattr(builder, "__name__", None) or getattr(builder, "name", None)
    return name if isinstance(name, str) else type(builder).__name__
