"""Which of TensorFlow's operations are followed."""

from __future__ import annotations

import re

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from rfwidget.keras.tf import walk
from rfwidget.keras.tf.table import RULES

_FAMILIES = re.compile(
    "^(Audio|Block|BoostedTrees|CTC|Cudnn|Debug|Fused|GRU|Kmeans|KMC2|LSTM|NonMaxSuppression|Quantized|Ragged|Sdca|Sparse"
    "|StatelessRandom|StatelessParameterized|StatelessTruncated|TPU|Unique|Xla)|Grad|BackpropFilter|Coo|SetOperation"
)
"""Not for maps, or for training."""

_NUMBERS = {getattr(tf, name).as_datatype_enum for name in (
    "float16", "bfloat16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool", "complex64",
    "complex128",
)}  # fmt: skip

NOT_FOLLOWED = {
    "BandedTriangularSolve", "BroadcastArgs", "CheckPinned", "CombinedNonMaxSuppression", "ComputeAccidentalHits",
    "ConcatOffset", "DataFormatVecPermute", "DenseCountSparseOutput", "Dilation2DBackpropInput", "DrawBoundingBoxes",
    "DrawBoundingBoxesV2", "EditDistance", "Enter", "Exit", "ExtractGlimpse", "ExtractGlimpseV2", "FractionalAvgPool",
    "FractionalMaxPool", "GenerateBoundingBoxProposals", "InvertPermutation", "IsotonicRegression", "ListDiff",
    "LoopCond", "Merge", "Mfcc", "NearestNeighbors", "NextIteration", "RandomIndexShuffle", "SetSize", "SobolSample",
    "StatelessSampleDistortedBoundingBox", "Switch", "TridiagonalMatMul", "Unbatch", "UnicodeScript", "Where",
}  # fmt: skip
"""Operations on numbers that give "everything", with a note that names them; or of which nobody knows the shape."""


def _of_numbers(argument: object, definition: object) -> bool:
    if argument.type:  # type: ignore[attr-defined]
        return argument.type in _NUMBERS  # type: ignore[attr-defined]
    told = [attr for attr in definition.attr if attr.name == argument.type_attr]  # type: ignore[attr-defined]
    allowed = set(told[0].allowed_values.list.type) if told else set()
    return bool(told) and (not allowed or bool(allowed & _NUMBERS))


def operations_on_numbers() -> set[str]:
    found = set()
    for name in dir(tf.raw_ops):
        definition = None if name.startswith("_") else op_def_registry.get(name)
        if definition is None or definition.is_stateful or definition.deprecation.version:
            continue
        arguments = [*definition.input_arg, *definition.output_arg]
        whole = definition.input_arg and definition.output_arg and not any(one.is_ref for one in arguments)
        if whole and all(_of_numbers(one, definition) for one in arguments):
            found.add(name)
    return found


def test_all_operations_but_these_are_followed() -> None:
    there = {name for name in operations_on_numbers() if not _FAMILIES.search(name)}
    assert there - set(RULES) - walk.CALLS == NOT_FOLLOWED


def test_every_rule_is_for_an_operation_that_exists() -> None:
    assert {name for name in RULES if op_def_registry.get(name) is None} == set()
