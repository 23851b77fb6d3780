"""Effective fields over more images than one machine can take: shared out and added up by Dask.

Each worker loads the model once, goes through its share of the images, and sends back sums of maps. Sums can be added
in any order, so it does not matter which worker is first; and what a worker has taken with it that died, Dask
computes again. Nothing here knows a framework, and Dask is imported only when a client is given.
"""

from __future__ import annotations

import copy
import pickle
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from rfwidget import _validation
from rfwidget._progress import Progress, silent
from rfwidget.datasets import pictures
from rfwidget.effective import Frame, collect, is_steady
from rfwidget.errors import ReceptiveFieldError
from rfwidget.extras import brought_by
from rfwidget.mass import Mass
from rfwidget.types import GridPoint, GridShape, Size

_CACHES = ("_computed", "_known")
"""What estimators keep of a measurement: it is measured again where they are sent to."""

_CHUNK = 8
"""Images that are sent to a worker together, where they come from here."""

_AHEAD = 4
"""Chunks that are under way for each thread of a worker, where they come from here: more would fill the memory."""


class Job(NamedTuple):
    """What is measured.

    Attributes:
        rf: a computed estimator.
        cells: whose gradient maps are summed.
        frames: where the maps lie.
        channel: output channel; None: the mean of all.
    """

    rf: Any
    cells: Sequence[GridPoint]
    frames: tuple[Frame, ...]
    channel: int | None


class Sent(NamedTuple):
    """A job on its way to a worker.

    Attributes:
        key: tells jobs apart.
        estimator: the estimator, pickled, with its model and nothing measured.
        shape: of the image.
        layers: names of input and output.
        cells: as in `Job`; so are the others.
    """

    key: str
    estimator: bytes
    shape: GridShape
    layers: tuple[str, str]
    cells: tuple[GridPoint, ...]
    frames: tuple[Frame, ...]
    channel: int | None


def collect_on(
    client: Any, job: Job, images: Any, *, n: int | None, tolerance: float | None, progress: Progress
) -> Mass:
    """The sum of gradient maps over a data set, by the workers of a cluster.

    Args:
        client: a ``dask.distributed.Client``.
        job: what is measured.
        images: a bag of Dask whose items are as those of any data set; a delayed value, or a list of them, each one
            item or a series of items; or any other data set, whose images are then sent from here.
        n: use the first ``n`` images only; None: all.
        tolerance: stop when the field is steady.
        progress: called when a part is done.

    Raises:
        ReceptiveFieldError: if this is no client, the model cannot be sent, or a worker meets an image that does not
            fit.
    """
    with brought_by("dask", "dask", "distributed", what="it"):
        from distributed import Client
    if not isinstance(client, Client):
        raise ReceptiveFieldError(f"client is {_validation.brief(client)}: expected a dask.distributed.Client")
    parts = _delayed_parts(images)
    if parts is not None and n is not None:
        raise ReceptiveFieldError("n cannot be used with a bag or delayed values: take fewer of them")
    # A task of its own, so that the model crosses the network once for each worker, not once for each part, and comes
    # back from here if a worker dies that holds it.
    sent = client.submit(_received, _send(job), pure=False)
    submit = partial(client.submit, _part, sent, pure=False)
    if parts is not None:
        futures = client.compute([_delayed(_part)(sent, part) for part in parts])
        waiting: Iterator[Any] = iter(())
    else:
        waiting = _chunks(job, images, n)
        ahead = _AHEAD * max(1, sum(client.nthreads().values()))
        futures = [submit(chunk) for chunk in islice(waiting, ahead)]
    return _gather(futures, (submit(chunk) for chunk in waiting), job.frames, tolerance, progress)


def _gather(
    futures: list[Any],
    waiting: Iterator[Any],
    frames: tuple[Frame, ...],
    tolerance: float | None,
    progress: Progress,
) -> Mass:
    """Add up the parts as they come, and for each ask for one of those that wait."""
    from distributed import as_completed

    total = Mass(*(frame.width for frame in reversed(frames)))
    size = Size(*(frame.size for frame in frames))
    whole, done = len(futures), 0
    coming = as_completed(futures, with_results=True, raise_errors=False)
    try:
        for future, result in coming:
            if future.status != "finished":
                raise _failure(future)
            future.release()
            total += result
            done += 1
            for another in islice(waiting, 1):
                coming.add(another)
                whole += 1
            progress(done / whole, f"{total.images} images")
            if tolerance is not None and is_steady(total, size, tolerance):
                break
    finally:
        for future in (*futures, *coming.futures):
            if not future.done():
                future.cancel()
    progress(1.0, "done")
    return total


def _failure(future: Any) -> BaseException:
    """Why a part could not be computed, as an error of this package."""
    error: BaseException = future.exception() if future.status == "error" else RuntimeError(f"it was {future.status}")
    if isinstance(error, ReceptiveFieldError):
        return error
    failure = ReceptiveFieldError(f"a worker could not do its part: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure


def _delayed(function: Callable[..., Any]) -> Any:
    from dask import delayed

    return delayed(function, pure=False, traverse=False)


def _delayed_parts(images: Any) -> list[Any] | None:
    """The parts of a collection of Dask; None if it is none."""
    from dask.base import is_dask_collection
    from dask.delayed import Delayed

    if isinstance(images, Delayed):  # it has every attribute that it is asked for
        return [images]
    if isinstance(images, (list, tuple)) and images and all(is_dask_collection(part) for part in images):
        return list(images)
    if not is_dask_collection(images):
        return None
    parts = images.to_delayed()
    return list(parts.ravel() if hasattr(parts, "ravel") else parts)  # those of an array are an array


def _chunks(job: Job, images: Any, n: int | None) -> Iterator[list[Any]]:
    """Images from here, a few at a time."""
    pixels = (picture.pixels for picture in pictures(images, job.rf.input_shape, n))
    while chunk := list(islice(pixels, _CHUNK)):
        yield chunk


def _send(job: Job) -> Sent:
    with brought_by("dask", "cloudpickle", what="it"):
        import cloudpickle

    rf, shape = job.rf, job.rf.input_shape
    try:
        content = cloudpickle.dumps(_without_caches(rf))
    except Exception as error:  # whatever a part of a model says
        raise ReceptiveFieldError(
            f"the model cannot be sent to the workers: {type(error).__name__}: {error}. Expected a model that can be "
            "pickled: save it, load it again, and give an estimator of what was loaded"
        ) from error
    layers = (rf.input_layer, rf.output_layer)
    return Sent(uuid.uuid4().hex, content, shape, layers, tuple(job.cells), job.frames, job.channel)


def _without_caches(rf: Any) -> Any:
    """A copy that holds the model and nothing that was measured.

    A function that builds a model would draw other weights on every worker, so what it has built goes instead.
    """
    other = copy.copy(rf)
    for name in _CACHES:
        if name in vars(other):
            setattr(other, name, None)
    built = getattr(other, "_built", None)
    if built is not None:
        other._model, other._built = built.model, None
    return other


def _received(sent: Sent) -> Sent:
    """On a worker: a job has come."""
    return sent


_lock = threading.Lock()


def _part(sent: Sent, items: Any) -> Mass:
    """On a worker: the sum over a part of the images."""
    if hasattr(items, "ndim") or isinstance(items, tuple) or not isinstance(items, Iterable):  # one item
        items = [items]
    with _lock:  # frameworks build models one at a time
        rf = _estimator(sent.key, sent)
    return collect(rf, items, sent.cells, sent.frames, n=None, channel=sent.channel, tolerance=None, progress=silent)


_estimators: dict[str, Any] = {}


def _estimator(key: str, sent: Sent) -> Any:
    """On a worker: the estimator of a job, computed once; that of the job before is let go."""
    if key not in _estimators:
        rf = pickle.loads(sent.estimator)  # noqa: S301 - from our own client
        rf.compute(sent.shape, *sent.layers)
        rf.prepare()  # as where it comes from, so that gradients are computed in the same way
        _estimators.clear()
        _estimators[key] = rf
    return _estimators[key]
