"""Masks of attention, as operations of PyTorch make, move and use them (see `rfwidget._measure.masks`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from rfwidget._measure.masks import LOW, Bools, Mask, low, told_apart, united

_SAME = frozenset({"_to_copy", "clone", "contiguous", "alias", "detach", "native_dropout", "lift_fresh", "copy", "to"})
_SHAPED = frozenset({"view", "_unsafe_view", "reshape", "_reshape_copy", "view_copy"})
_READERS = frozenset({"_softmax", "_safe_softmax", "softmax", "_log_softmax", "log_softmax", "logsumexp", "exp"})
_READERS |= {"amax", "max", "argmax", "isinf", "isnan", "isfinite"}


class Flags:
    """What is known of the elements of a storage: which are off, and which zero, as `Mask` has it.

    Views of a tensor see what was noted of it, and what is written to a view is seen by the others.
    """

    def __init__(self) -> None:
        self._parts: list[torch.Tensor | None] = [None, None]

    def of(self, view: torch.Tensor) -> Mask | None:
        """What is known of the elements of a tensor that lies in the storage."""
        if self._parts == [None, None]:
            return None
        return united(*([None if part is None else _laid(part, view).numpy()] for part in self._parts))

    def note(self, view: torch.Tensor, mask: Mask | None) -> None:
        """What is known of these elements from now on."""
        if any(stride == 0 and length > 1 for stride, length in zip(view.stride(), view.shape, strict=True)):
            mask = None
        for place, known in enumerate((None, None) if mask is None else mask):
            part = self._parts[place]
            if part is None and known is None:
                continue
            if part is None:
                count = view.untyped_storage().nbytes() // max(view.element_size(), 1)
                part = self._parts[place] = torch.zeros(count, dtype=torch.bool)
            new = torch.zeros((), dtype=torch.bool) if known is None else torch.from_numpy(np.array(known))
            _laid(part, view).copy_(new)


def _laid(part: torch.Tensor, view: torch.Tensor) -> torch.Tensor:
    return torch.as_strided(part, view.shape, view.stride(), int(view.storage_offset()))


def mask_of(call: Any) -> Mask | None:
    """What is known of the elements of an operation's result; None: nothing.

    Args:
        call: of the operation; it gives constants and what is known of other tensors.
    """
    name = call.name
    if name in ("add", "sub", "baddbmm", "addmm"):
        return _added(call)
    if name in ("masked_fill", "where"):
        return _chosen(call)
    if name in ("mul", "div"):
        return _times(call)
    known: Mask | None = call.mask("self" if call.has("self") else "input")
    if known is None:
        return None
    if name in ("_softmax", "_safe_softmax", "softmax"):
        on = told_apart(known.off, int(call["dim"]))
        return united([], [None if on is None else ~on])
    if name == "exp":
        on = told_apart(known.off, -1)
        return united([], [None if on is None else ~on])
    if name in _SAME:
        return known
    if name in _SHAPED:
        whole = call.shape_of("self")
        return Mask(*(None if part is None else np.broadcast_to(part, whole).reshape(call.shape) for part in known))
    return None


def _added(call: Any) -> Mask | None:
    """Scores and a constant, or scores and scores."""
    names: tuple[str, ...] = ("self", "other")
    factor = call["alpha"]
    if call.name in ("baddbmm", "addmm"):
        names, factor = ("self",), 1
        if call["beta"] != 1:
            return None
    off: list[Bools | None] = []
    raised: Bools | None = None
    for name in names:
        times = 1.0 if name == "self" or factor is None else float(factor)
        times = -times if name == "other" and call.name == "sub" else times
        if call.carried(name) is not None:
            known = call.mask(name)
            off.append(None if known is None or times != 1 else known.off)
            continue
        numbers = call.numbers(name)
        if numbers is not None:
            off.append(low(times * numbers))
            raised = (high := times * numbers >= -LOW) if raised is None else raised | high
    found = united(off, [])
    if found is None or found.off is None or raised is None or not np.any(raised):
        return found
    return united([found.off & ~raised], [])


def _chosen(call: Any) -> Mask | None:
    """A constant in the place of some scores."""
    condition = "mask" if call.name == "masked_fill" else "condition"
    if call.carried(condition) is not None:
        return None
    chosen = call.constant(condition).cpu().numpy().astype(bool)
    first, second = ("value", "self") if call.name == "masked_fill" else ("self", "other")
    off: list[Bools | None] = []
    for name, kept in ((first, chosen), (second, ~chosen)):
        if call.carried(name) is not None:
            known = call.mask(name)
            own = None if known is None else known.off
        else:
            numbers = call.numbers(name)
            own = None if numbers is None else numbers <= LOW
        off.append(None if own is None else own & kept)
    found = united(off, [])
    return None if found is None or found.off is None or np.all(found.off) else found


def _times(call: Any) -> Mask | None:
    """Zero stays zero, and what is off stays off where the other is a positive number that is not small."""
    off: list[Bools | None] = []
    zero: list[Bools | None] = []
    names = ("self", "other")
    for name, other in (names, names[::-1]):
        known = call.mask(name)
        if known is not None and (call.name == "mul" or name == "self"):
            zero.append(known.zero)
            number = call[other]
            if isinstance(number, (int, float)) and (number >= 1 if call.name == "mul" else 0 < number <= 1):
                off.append(known.off)
        if call.name == "mul" and known is None and call.carried(name) is None and hasattr(call[name], "dtype"):
            nonzero = call.nonzero(name)
            zero.append(None if nonzero is None else ~nonzero)
    return united(off, zero)


def is_lost(call: Any) -> bool:
    """Whether scores that a mask was put on are read by an operation behind which nothing is known of it."""
    if call.name in _READERS:
        return False
    known = call.mask("self" if call.has("self") else "input")
    off = None if known is None else known.off
    return off is not None and off.ndim > 1 and all(bool((off != off.take([0], axis)).any()) for axis in (-1, -2))
