"""Which of PyTorch's core operations are followed."""

from __future__ import annotations

import torch

from rfwidget._aten.interpreter import CONSTANTS, Plan
from rfwidget._aten.rules import RULES

NOT_FOLLOWED = {
    "_adaptive_avg_pool2d_backward", "_embedding_bag", "_pdist_forward", "avg_pool2d_backward", "convolution_backward",
    "embedding_dense_backward", "max_pool2d_with_indices_backward", "native_group_norm_backward",
    "native_layer_norm_backward",
}  # fmt: skip
"""Core operations on tensors that give "everything", with a note that names them."""

_BY_NUMBERS = {"_local_scalar_dense", "sym_numel", "sym_size", "sym_storage_offset", "sym_stride", "sym_is_contiguous"}


def not_followed() -> set[str]:
    found = set()
    for name in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, name)
        if not hasattr(packet, "overloads"):
            continue
        for overload in packet.overloads():
            func = getattr(packet, overload)
            takes = any("Tensor" in str(argument.type) for argument in func._schema.arguments)
            if torch.Tag.core not in func.tags or not takes or name in _BY_NUMBERS | CONSTANTS:
                continue
            if Plan(func, RULES).rule is None:
                found.add(name)
    return found


def test_all_core_operations_but_these_are_followed() -> None:
    assert not_followed() == NOT_FOLLOWED
