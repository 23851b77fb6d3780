"""Code that does not speak to Keras: what every cell depends on, against a black box that changes pixels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from rfwidget.keras.looks import Inputs, ModelLooks
from tests.keras.foreign_code import SHAPE, Case, Foreign, Shape, changes, extents

HEIGHT, WIDTH, _ = SHAPE


def looked_at(model: Any, shape: Shape = SHAPE) -> ModelLooks:
    looks = ModelLooks(model, Inputs((shape,), 0), local=False)
    assert looks.asked.failure is None, looks.asked.failure
    return looks


def spans_of(looks: ModelLooks, path: str, axis: int) -> list[Any]:
    carried = looks.carried(path)
    return [np.broadcast_to(edges, carried.shape)[0, ..., 0] for edges in carried.spans(axis)]


# -- layers to compare -------------------------------------------------------------------------------------------------

KERNEL = {"w": (3, 5, 2, 2)}


def hard_gate(_: Any, x: Any) -> Any:
    return x * tf.cast(x[:, ::-1] > 0, x.dtype)


def masked_kernel(layer: Any, x: Any) -> Any:
    mask = np.ones((3, 5, 1, 1), "float32")
    mask[2:] = 0
    mask[1, 3:] = 0
    return tf.nn.conv2d(x, layer.w * mask, 1, "SAME")


def channels_masked(layer: Any, x: Any) -> Any:
    mask = np.ones((3, 5, 2, 2), "float32")
    mask[0, :, :, 0] = 0
    mask[:, 4, 0, :] = 0
    mask[0, :, 1, 1] = 0
    return tf.nn.conv2d(x, layer.w * mask, 1, "VALID")[..., :1]


def sobel(_: Any, x: Any) -> Any:
    """The change along the columns; the middle column of the kernel is zero."""
    kernel = np.reshape([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], (3, 3, 1, 1)) * np.ones((1, 1, 2, 1))
    return tf.nn.depthwise_conv2d(x, tf.constant(kernel, tf.float32), [1, 1, 2, 1], "VALID")


def total_variation(_: Any, x: Any) -> Any:
    rows, columns = tf.image.image_gradients(x)
    return tf.sqrt(rows**2 + columns**2 + 1.0)


def unpooled(_: Any, x: Any) -> Any:
    best, place = tf.nn.max_pool_with_argmax(x, 2, 2, "SAME", include_batch_in_index=True)
    shape = tf.shape(x, tf.int64)
    flat = tf.scatter_nd(tf.reshape(place, (-1, 1)), tf.reshape(best, (-1,)), [tf.reduce_prod(shape)])
    return tf.reshape(flat, shape)


def unpooled_by_three(_: Any, x: Any) -> Any:
    best, place = tf.nn.max_pool_with_argmax(x, (2, 3), (2, 3), "SAME")
    batch = tf.range(tf.shape(x, tf.int64)[0])[:, None, None, None] + tf.zeros_like(place)
    width, channels = tf.shape(x, tf.int64)[2], tf.shape(x, tf.int64)[3]
    where = tf.stack([batch, place // (width * channels), place // channels % width, place % channels], axis=-1)
    return tf.tensor_scatter_nd_add(tf.zeros_like(x), tf.reshape(where, (-1, 4)), tf.reshape(best, (-1,)))


def unravelled(_: Any, x: Any) -> Any:
    best, place = tf.nn.max_pool_with_argmax(x, 2, 2, "SAME", include_batch_in_index=True)
    where = tf.transpose(tf.unravel_index(tf.reshape(place, (-1,)), tf.shape(x, tf.int64)))
    return tf.scatter_nd(where, tf.reshape(best, (-1,)), tf.shape(x, tf.int64))


def unpooled_by_gradient(_: Any, x: Any) -> Any:
    best = tf.nn.max_pool2d(x, (2, 3), (2, 2), "VALID")
    return tf.raw_ops.MaxPoolGrad(
        orig_input=x, orig_output=best, grad=best, ksize=[1, 2, 3, 1], strides=[1, 2, 2, 1], padding="VALID"
    )


def gradient_in_the_code(layer: Any, x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        energy = tf.reduce_sum(tf.nn.conv2d(x, layer.w, 1, "VALID") ** 2)
    return tape.gradient(energy, x)


def sparse_rows(layer: Any, x: Any) -> Any:
    rows = tf.sparse.SparseTensor([[0, 1], [1, 0], [1, 3], [2, 9]], layer.w, (3, HEIGHT))
    flat = tf.reshape(tf.transpose(x, (1, 0, 2, 3)), (HEIGHT, -1))
    found = tf.reshape(tf.sparse.sparse_dense_matmul(rows, flat), (3, -1, WIDTH, 2))
    return tf.transpose(found, (1, 0, 2, 3))


def segments(_: Any, x: Any) -> Any:
    found = tf.math.unsorted_segment_sum(tf.transpose(x, (2, 0, 1, 3)), [0, 1, 0, 2, 2, 2, 1, 0, 3, 3, 3, 3, 0, 1], 4)
    return tf.transpose(found, (1, 2, 0, 3))


def dealt_out(_: Any, x: Any) -> Any:
    columns = tf.transpose(x, (2, 0, 1, 3))
    parts = tf.dynamic_partition(columns, [0, 1] * 7, 2)
    moved = tf.dynamic_stitch([tf.range(0, 14, 2), tf.range(1, 14, 2)], [parts[1], parts[0]])
    return tf.transpose(moved, (1, 2, 0, 3))


def diagonals(_: Any, x: Any) -> Any:
    square = tf.transpose(x[:, :, :HEIGHT], (0, 3, 1, 2))
    square = tf.linalg.set_diag(square, tf.linalg.diag_part(square)[..., ::-1])
    return tf.transpose(square + tf.linalg.diag(square[..., 0, :]), (0, 2, 3, 1))


def searched(_: Any, x: Any) -> Any:
    edges = tf.broadcast_to(tf.range(-3.0, 3.0), (tf.shape(x)[0] * HEIGHT, 6))
    found = tf.searchsorted(edges, tf.reshape(x, (-1, WIDTH * 2)))
    return tf.cast(tf.reshape(found, (-1, HEIGHT, WIDTH, 2)), tf.float32)


def codebook(layer: Any, x: Any) -> Any:
    """Vector quantisation: the nearest of a few rows of a table."""
    distances = tf.reduce_sum((x[..., None, :] - layer.w) ** 2, -1)
    return tf.gather(layer.w, tf.argmin(distances, -1))


def one_hot(_: Any, x: Any) -> Any:
    return tf.reduce_sum(tf.one_hot(tf.argmax(x, -1), 2, axis=1), 1)[..., None] + tf.one_hot(tf.argmax(x, 3), 2)


def strongest_rows(_: Any, x: Any) -> Any:
    """Reads rows in the order of their sums."""
    order = tf.argsort(tf.reduce_sum(x, (2, 3)))
    return tf.gather(x, order, axis=1, batch_dims=1)


def boxes_of_the_image(_: Any, x: Any) -> Any:
    low = tf.sigmoid(x[:, 0, 0, :1]) * 0.5
    return tf.image.crop_and_resize(x, tf.concat([low, low, low + 0.5, low + 0.5], 1), tf.range(tf.shape(x)[0]), (4, 5))


def turned(_: Any, x: Any) -> Any:
    return tf.image.rot90(tf.image.transpose(tf.image.rot90(x)), 2)


def standardised(_: Any, x: Any) -> Any:
    return tf.image.per_image_standardization(x)


def box_in_box(_: Any, x: Any) -> Any:
    return tf.image.resize_with_crop_or_pad(tf.image.central_crop(x, 0.5), 9, 12)


def with_pad(_: Any, x: Any) -> Any:
    return tf.image.resize_with_pad(x, 20, 20)


def moved_by_a_matrix(_: Any, x: Any) -> Any:
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=x, transforms=[[0.0, 1.0, 2.0, 1.0, 0.0, -1.0, 0.0, 0.0]], output_shape=[11, 9],
        interpolation="NEAREST", fill_mode="REFLECT", fill_value=0.0,
    )  # fmt: skip


def framed(_: Any, x: Any) -> Any:
    frames = tf.signal.overlap_and_add(tf.signal.frame(tf.transpose(x, (0, 1, 3, 2)), 4, 2), 2)
    return tf.transpose(frames, (0, 1, 3, 2))


def short_fourier(_: Any, x: Any) -> Any:
    return tf.abs(tf.signal.stft(x[..., 0], 6, 4))


def cosines(_: Any, x: Any) -> Any:
    return tf.transpose(tf.signal.dct(tf.transpose(x, (0, 1, 3, 2))), (0, 1, 3, 2))


def solved(_: Any, x: Any) -> Any:
    square = tf.reshape(x[:, :, :12], (-1, HEIGHT, 4, 3, 2))[..., :3, :, 0] + 9.0 * tf.eye(3)
    return tf.linalg.inv(square)


def outer_products(_: Any, x: Any) -> Any:
    return tf.reshape(x[..., None] * x[..., None, :], (-1, HEIGHT, WIDTH, 4))


def axial_attention(_: Any, x: Any) -> Any:
    scores = tf.einsum("bhwc,bhvc->bhwv", x, x) / 1e6
    return tf.einsum("bhwv,bhvc->bhwc", tf.nn.softmax(scores), x)


def shifted_window_attention(_: Any, x: Any) -> Any:
    """As Swin masks the windows at the border, which hold columns of both sides."""
    rolled = tf.roll(x, -3, 2)
    parts = tf.reshape(tf.transpose(tf.reshape(rolled, (-1, HEIGHT, 2, 7, 2)), (0, 2, 1, 3, 4)), (-1, 2, HEIGHT * 7, 2))
    region = np.zeros((2, HEIGHT, 7), int)
    region[1, :, 4:] = 1
    region = region.reshape(2, -1)
    mask = np.where(region[:, :, None] == region[:, None, :], 0.0, -100.0).astype("float32")
    scores = tf.matmul(parts, parts, transpose_b=True) / 1e6
    mixed = tf.matmul(tf.nn.softmax(scores + mask), parts)
    mixed = tf.reshape(tf.transpose(tf.reshape(mixed, (-1, 2, HEIGHT, 7, 2)), (0, 2, 1, 3, 4)), (-1, HEIGHT, WIDTH, 2))
    return tf.roll(mixed, 3, 2)


def causal_attention(_: Any, x: Any) -> Any:
    """Columns see those before them; softmax by hand."""
    columns = tf.transpose(x, (0, 1, 3, 2))[:, :, None]  # n, h, 1, c, w
    scores = tf.einsum("nhkcw,nhkcv->nhkwv", columns, columns) / 1e6
    scores = tf.where(np.tril(np.ones((WIDTH, WIDTH), bool)), scores, -1e9)
    weights = tf.exp(scores - tf.reduce_max(scores, -1, keepdims=True))
    weights = weights / tf.reduce_sum(weights, -1, keepdims=True)
    return tf.einsum("nhkwv,nhkcv->nhwc", weights, columns)


def masked_by_product(_: Any, x: Any) -> Any:
    near = np.abs(np.arange(WIDTH)[:, None] - np.arange(WIDTH)) < 3
    scores = tf.sigmoid(tf.einsum("bhwc,bhvc->bhwv", x, x) / 1e6) * near.astype("float32")
    return tf.matmul(scores, x)


def nearer_neighbour(_: Any, x: Any) -> Any:
    """Reads the column to the left or its own, as the sign says."""
    columns = tf.range(1, WIDTH)[None, None] - tf.cast(x[:, :, 1:, 0] > 0, tf.int32)
    return tf.gather(x, columns, batch_dims=2)


def by_largest_channel(_: Any, x: Any) -> Any:
    shifts = tf.constant([0, 2])
    return tf.gather(x, tf.range(WIDTH - 2) + tf.gather(shifts, tf.argmax(x[:, :, :-2], -1)), batch_dims=2)


def anywhere_in_the_row(_: Any, x: Any) -> Any:
    where = tf.cast(tf.abs(x[..., 0]) * 1000, tf.int32) % WIDTH
    return tf.gather(x, where, batch_dims=2)


def anywhere_by_places(_: Any, x: Any) -> Any:
    rows = tf.cast(tf.abs(x[..., 0]) * 1000, tf.int32) % HEIGHT
    columns = tf.cast(tf.abs(x[..., 1]) * 1000, tf.int32) % WIDTH
    batch = tf.range(tf.shape(x)[0])[:, None, None] + tf.zeros_like(rows)
    return tf.gather_nd(x, tf.stack([batch, rows, columns], axis=-1))


def put_anywhere(_: Any, x: Any) -> Any:
    where = tf.cast(tf.abs(x[:, 0, 0, 0]) * 1000, tf.int32) % HEIGHT
    batch = tf.range(tf.shape(x)[0])
    return tf.tensor_scatter_nd_update(x, tf.stack([batch, where], axis=1), x[:, 0] * 2.0)


def wrapped(_: Any, x: Any) -> Any:
    return tf.nn.avg_pool2d(tf.concat([x[:, :, -2:], x, x[:, :, :2]], 2), (1, 5), 1, "VALID")


def running_mean(_: Any, x: Any) -> Any:
    total = tf.zeros_like(x[:, 0])
    rows = []
    for k in range(HEIGHT):
        total = 0.5 * total + x[:, k]
        rows.append(total)
    return tf.stack(rows, 1)


def scanned(_: Any, x: Any) -> Any:
    rows = tf.scan(lambda state, row: 0.5 * state + row, tf.transpose(x, (1, 0, 2, 3)))
    return tf.transpose(rows, (1, 0, 2, 3))


def while_loop(_: Any, x: Any) -> Any:
    return tf.while_loop(lambda k, _: k < 3, lambda k, y: (k + 1, tf.nn.avg_pool2d(y, (3, 1), 1, "SAME")), (0, x))[1]


def loop_until(_: Any, x: Any) -> Any:
    """Goes on until the image is smooth: nobody knows for how long, but one round sees a row further."""
    return tf.while_loop(
        lambda y: tf.reduce_max(y) > 1.0, lambda y: (0.5 * tf.nn.max_pool2d(y, (3, 1), 1, "SAME"),), (x,)
    )[0]


def branches(_: Any, x: Any) -> Any:
    return tf.cond(x[0, 0, 0, 0] > 0, lambda: x, lambda: tf.roll(x, 1, 2))


def constant_branch(_: Any, x: Any) -> Any:
    return tf.cond(tf.shape(x)[1] > 4, lambda: x, lambda: tf.roll(x, 1, 2))


def switch(_: Any, x: Any) -> Any:
    chosen = tf.cast(x[0, 0, 0, 0] > 0, tf.int32)
    return tf.switch_case(chosen, [lambda: x, lambda: tf.reverse(x, [1])])


@tf.function
def _decorated(x: Any) -> Any:
    if tf.reduce_mean(x[:, 0]) > 0:  # AutoGraph makes a branch of it
        return x
    return x[:, ::-1]


def decorated(_: Any, x: Any) -> Any:
    return _decorated(x) + 1.0


def python_branch(_: Any, x: Any) -> Any:
    if x[0, 0, 0, 0] > 0:
        return x * 2.0
    return x[:, :, ::-1]


def python_loop(_: Any, x: Any) -> Any:
    for _k in tf.range(2):
        x = tf.nn.max_pool2d(x, (1, 3), 1, "SAME")
    return x


def mapped(_: Any, x: Any) -> Any:
    return tf.map_fn(lambda one: tf.image.flip_left_right(one), x)


def vectorised(_: Any, x: Any) -> Any:
    return tf.vectorized_map(lambda one: one - tf.reduce_mean(one, axis=1, keepdims=True), x)


def in_patches(_: Any, x: Any) -> Any:
    return tf.image.extract_patches(x, [1, 2, 3, 1], [1, 2, 2, 1], [1, 1, 2, 1], "VALID")


def windowed_attention(_: Any, x: Any) -> Any:
    parts = tf.reshape(x, (-1, HEIGHT // 2, 2, WIDTH // 7, 7, 2))
    parts = tf.reshape(tf.transpose(parts, (0, 1, 3, 2, 4, 5)), (-1, 14, 2))
    mixed = tf.matmul(tf.nn.softmax(tf.matmul(parts, parts, transpose_b=True) / 10.0), parts)
    mixed = tf.transpose(tf.reshape(mixed, (-1, HEIGHT // 2, WIDTH // 7, 2, 7, 2)), (0, 1, 3, 2, 4, 5))
    return tf.reshape(mixed, (-1, HEIGHT, WIDTH, 2))


def banded_product(layer: Any, x: Any) -> Any:
    band = tf.linalg.band_part(tf.ones((WIDTH, WIDTH)), 1, 2) * layer.w
    return tf.einsum("bhwc,wv->bhvc", x, band)


def block_product(layer: Any, x: Any) -> Any:
    blocks = tf.linalg.LinearOperatorBlockDiag([
        tf.linalg.LinearOperatorFullMatrix(layer.w[:4, :4]), tf.linalg.LinearOperatorFullMatrix(layer.w[4:, 4:])
    ]).to_dense()  # fmt: skip
    return tf.transpose(tf.matmul(tf.transpose(x, (0, 3, 2, 1)), blocks), (0, 3, 2, 1))


def different_bands(layer: Any, x: Any) -> Any:
    """A band of its own for each row."""
    bands = tf.stack([tf.linalg.band_part(layer.w, k % 3, k % 2) for k in range(HEIGHT)])
    return tf.matmul(bands, x)


def crops(_: Any, x: Any) -> Any:
    return tf.image.crop_and_resize(x, [[0.0, 0.0, 0.6, 1.0]], [0], (5, 9))


def recurrent_columns(layer: Any, x: Any) -> Any:
    """A recurrence along the columns, as a loop over a list of tensors."""
    columns = tf.TensorArray(tf.float32, size=WIDTH)
    state = tf.zeros_like(x[:, :, 0])
    for k in tf.range(WIDTH):
        state = tf.matmul(x[:, :, k], layer.w) + 0.9 * state
        columns = columns.write(k, state)
    return tf.transpose(columns.stack(), (1, 2, 0, 3))


def sliced_and_written(_: Any, x: Any) -> Any:
    index = tf.constant([[k] for k in range(0, HEIGHT, 2)])
    rows = tf.transpose(x, (1, 0, 2, 3))
    return tf.transpose(tf.tensor_scatter_nd_update(rows, index, tf.gather(rows, index[:, 0] + 1)), (1, 0, 2, 3))


def strided(_: Any, x: Any) -> Any:
    return x[:, 1:-1:2, ::-3, tf.newaxis][..., 0, :]


def local_response(_: Any, x: Any) -> Any:
    return tf.nn.local_response_normalization(x)


def squeeze_and_excite(layer: Any, x: Any) -> Any:
    return x * tf.sigmoid(tf.matmul(tf.reduce_mean(x, (1, 2)), layer.w))[:, None, None]


def instance_norm(_: Any, x: Any) -> Any:
    mean, variance = tf.nn.moments(x, (1, 2), keepdims=True)
    return tf.nn.batch_normalization(x, mean, variance, None, None, 1e-3)


def axial_norm(_: Any, x: Any) -> Any:
    return tf.nn.l2_normalize(x, axis=2)


def binned(_: Any, x: Any) -> Any:
    return tf.reduce_mean(tf.reshape(x, (-1, 5, 2, 7, 2, 2)), (2, 4))


def shuffled_blocks(_: Any, x: Any) -> Any:
    return tf.nn.depth_to_space(tf.nn.avg_pool2d(tf.nn.space_to_depth(x, 2), (1, 3), 1, "SAME"), 2)


def shifted_windows(_: Any, x: Any) -> Any:
    rolled = tf.roll(x, (-1, 2), (1, 2))
    means = tf.nn.avg_pool2d(rolled, (2, 7), (2, 7), "VALID")
    return tf.roll(rolled + tf.repeat(tf.repeat(means, 2, 1), 7, 2), (1, -2), (1, 2))


def sampled_at_constants(_: Any, x: Any) -> Any:
    rows, columns = np.meshgrid(np.arange(HEIGHT)[::-1], np.arange(0, WIDTH, 3), indexing="ij")
    return tf.transpose(tf.gather_nd(tf.transpose(x, (1, 2, 0, 3)), np.stack([rows, columns], -1)), (2, 0, 1, 3))


def quantised(_: Any, x: Any) -> Any:
    return tf.quantization.fake_quant_with_min_max_args(x, -2000.0, 2000.0)


def straight_through(_: Any, x: Any) -> Any:
    y = tf.nn.avg_pool2d(x, (1, 3), 1, "SAME")
    return y + tf.stop_gradient(tf.round(y) - y)


@tf.custom_gradient
def _clipped(x: Any) -> Any:
    return tf.clip_by_value(x, -1e6, 1e6), lambda up: up


def own_gradient(_: Any, x: Any) -> Any:
    return _clipped(x)[:, ::-1]


def nothing_but_shape(_: Any, x: Any) -> Any:
    return tf.zeros_like(x) + tf.cast(tf.shape(x)[2], x.dtype) + 0.0 * tf.ones_like(x) + x[:, :1]


def dynamic_slice(_: Any, x: Any) -> Any:
    start = tf.cast(tf.abs(x[0, 0, 0, 0]) * 1000, tf.int32) % (WIDTH - 5)
    return tf.slice(x, [0, 0, start, 0], [-1, -1, 6, -1])


def python_slice(_: Any, x: Any) -> Any:
    start = tf.argmax(x[0, 0, :, 0])
    return tf.ensure_shape(x[:, :, start : start + 1], (None, HEIGHT, 1, 2))


def reversed_lengths(_: Any, x: Any) -> Any:
    return tf.reverse_sequence(x, tf.ones(tf.shape(x)[0], tf.int32) * 5, seq_axis=2, batch_axis=0)


def resized(method: str, size: tuple[int, int], **named: Any) -> Any:
    return lambda _, x: tf.image.resize(x, size, method, **named)


def raw_resized(name: str, size: tuple[int, int], **named: Any) -> Any:
    return lambda _, x: getattr(tf.raw_ops, name)(images=x, size=size, **named)


CASES: dict[str, Case] = {
    "sign": Case(lambda _, x: tf.sign(x), before=(3, 5), trials=30),
    "hard gate": Case(hard_gate, trials=20),
    "comparison of shifted maps": Case(lambda _, x: tf.cast(x[:, 1:] > x[:, :-1], tf.float32), trials=20),
    "where": Case(lambda _, x: tf.where(x > 0, x, x[:, :, ::-1]), trials=20),
    "where with a constant condition": Case(
        lambda _, x: tf.where((np.arange(WIDTH) < 5)[None, None, :, None], x, tf.roll(x, 1, 1))
    ),
    "masked kernel": Case(masked_kernel, KERNEL),
    "kernel with other masks for other channels": Case(channels_masked, KERNEL),
    "sobel": Case(sobel),
    "image gradients": Case(total_variation),
    "dilation": Case(
        lambda s, x: tf.nn.dilation2d(x, s.w, [1, 2, 1, 1], "SAME", "NHWC", [1, 1, 2, 1]), {"w": (3, 2, 2)}, trials=30
    ),
    "erosion": Case(
        lambda s, x: tf.nn.erosion2d(x, s.w, [1, 1, 1, 1], "VALID", "NHWC", [1, 1, 1, 1]), {"w": (3, 2, 2)}, trials=30
    ),
    "convolution": Case(lambda s, x: tf.nn.conv2d(x, s.w, (1, 2), "SAME"), KERNEL),
    "convolution with explicit padding": Case(
        lambda s, x: tf.nn.conv2d(x, s.w, 2, [[0, 0], [2, 0], [1, 3], [0, 0]]), KERNEL
    ),
    "dilated convolution": Case(lambda s, x: tf.nn.conv2d(x, s.w, 1, "SAME", dilations=(2, 3)), KERNEL),
    "atrous convolution": Case(lambda s, x: tf.nn.atrous_conv2d(x, s.w, 2, "SAME"), KERNEL),
    "grouped convolution": Case(lambda s, x: tf.nn.conv2d(x, s.w, 1, "SAME"), {"w": (3, 1, 1, 4)}),
    "convolution along one axis": Case(
        lambda s, x: tf.reshape(tf.nn.conv1d(tf.reshape(x, (-1, WIDTH, 2)), s.w, 1, "SAME"), (-1, HEIGHT, WIDTH, 2)),
        {"w": (3, 2, 2)},
    ),
    "convolution of a volume": Case(
        lambda s, x: tf.reduce_sum(tf.nn.conv3d(x[..., None], s.w, [1, 1, 2, 1, 1], "SAME"), 3), {"w": (2, 3, 2, 1, 2)}
    ),
    "depthwise convolution": Case(
        lambda s, x: tf.nn.depthwise_conv2d(x, s.w, [1, 2, 2, 1], "SAME"), {"w": (3, 2, 2, 3)}
    ),
    "depthwise convolution with a mask": Case(
        lambda s, x: tf.nn.depthwise_conv2d(x, s.w * np.reshape([1, 0, 1, 0, 0, 1], (3, 2, 1, 1)), [1] * 4, "VALID"),
        {"w": (3, 2, 2, 1)},
    ),
    "separable convolution": Case(
        lambda s, x: tf.nn.separable_conv2d(x, s.w, s.v, [1] * 4, "SAME"), {"w": (3, 2, 2, 2), "v": (1, 1, 4, 3)}
    ),
    "transposed convolution": Case(
        lambda s, x: tf.nn.conv2d_transpose(x, s.w, (tf.shape(x)[0], 20, 42, 3), (2, 3), "SAME"), {"w": (3, 4, 3, 2)}
    ),
    "transposed convolution with a mask": Case(
        lambda s, x: tf.nn.conv2d_transpose(
            x, s.w * np.reshape([1, 0, 0, 0, 1, 1], (3, 2, 1, 1)), (tf.shape(x)[0], 21, 28, 3), 2, "VALID"
        ),
        {"w": (3, 2, 3, 2)},
    ),
    "kernel from the image": Case(
        lambda _, x: tf.nn.conv2d(x, tf.reshape(x[0, :3, :2], (3, 2, 2, 1)), 1, "SAME"), output=(HEIGHT, WIDTH, 1)
    ),
    "pooling": Case(lambda _, x: tf.nn.max_pool2d(x, (2, 3), (1, 2), "SAME"), trials=20),
    "pooling over channels": Case(lambda _, x: tf.nn.max_pool(x, [1, 1, 1, 2], [1, 1, 1, 2], "SAME"), trials=20),
    "pooling with places": Case(
        lambda _, x: tf.cast(tf.nn.max_pool_with_argmax(x, (2, 3), 2, "VALID")[1], tf.float32), trials=30
    ),
    "pooling in a volume": Case(lambda _, x: tf.nn.avg_pool3d(x[..., None], (2, 3, 2), (1, 2, 1), "SAME")[..., 0]),
    "unpooling": Case(unpooled, trials=60),
    "unpooling into a tensor": Case(unpooled_by_three, shape=(10, 15, 2), trials=80),
    "unpooling by unravelled numbers": Case(unravelled, trials=60),
    "unpooling by a gradient": Case(unpooled_by_gradient, trials=60),
    "a gradient in the code": Case(gradient_in_the_code, KERNEL),
    "sparse rows": Case(sparse_rows, {"w": (4,)}),
    "segments": Case(segments),
    "dealt out": Case(dealt_out),
    "diagonals": Case(diagonals),
    "searched": Case(searched, trials=40),
    "codebook": Case(codebook, {"w": (5, 2)}, trials=60),
    "one hot": Case(one_hot, trials=20),
    "rows in order": Case(strongest_rows, trials=150),
    "turned": Case(turned),
    "standardised": Case(standardised),
    "box in a box": Case(box_in_box),
    "enlarged with a border": Case(with_pad),
    "moved by a matrix": Case(moved_by_a_matrix),
    "frames": Case(framed),
    "short Fourier transform": Case(short_fourier),
    "cosine transform": Case(cosines),
    "inverses": Case(solved),
    "outer products": Case(outer_products),
    "attention along rows": Case(axial_attention, trials=3),
    "attention in shifted windows": Case(shifted_window_attention, trials=3),
    "causal attention": Case(causal_attention, trials=3),
    "attention masked by a product": Case(masked_by_product, trials=3),
    "nearer neighbour": Case(nearer_neighbour, trials=20),
    "shift by the largest channel": Case(by_largest_channel, trials=20),
    "anywhere in the row": Case(anywhere_in_the_row, trials=80),
    "written anywhere": Case(put_anywhere, trials=150),
    "gather": Case(lambda _, x: tf.gather(x, [0, 5, 5, 2, 9], axis=1)),
    "gather at constant places": Case(sampled_at_constants),
    "boolean mask": Case(lambda _, x: tf.boolean_mask(x, np.arange(WIDTH) % 3 > 0, axis=2)),
    "rows written": Case(sliced_and_written),
    "slice that begins anywhere": Case(dynamic_slice, trials=40, output=(HEIGHT, 6, 2)),
    "column that begins anywhere": Case(python_slice, trials=60, output=(HEIGHT, 1, 2)),
    "strides": Case(strided),
    "roll": Case(lambda _, x: tf.roll(x, (3, -2), (1, 2))),
    "reverse": Case(lambda _, x: tf.reverse(x, [1, 2])),
    "reversed part": Case(reversed_lengths),
    "wrapped": Case(wrapped),
    "mirrored border": Case(lambda _, x: tf.pad(x, [[0, 0], [2, 1], [3, 0], [0, 0]], "REFLECT")),
    "symmetric border": Case(lambda _, x: tf.pad(x, [[0, 0], [2, 1], [3, 0], [0, 0]], "SYMMETRIC")),
    "border": Case(lambda _, x: tf.nn.avg_pool2d(tf.pad(x, [[0, 0], [2, 1], [3, 0], [0, 0]]), 3, 1, "VALID")),
    "tiles": Case(lambda _, x: tf.tile(x, (1, 2, 1, 2))),
    "repetition": Case(lambda _, x: tf.repeat(x, [1, 2] * 5, axis=1)),
    "stack": Case(lambda _, x: tf.stack(tf.unstack(x, axis=1)[::-1], axis=1)),
    "split": Case(lambda _, x: tf.concat(tf.split(x, [3, -1, 2], 2)[::-1], 2)),
    "blocks": Case(shuffled_blocks),
    "batches of blocks": Case(
        lambda _, x: tf.batch_to_space(
            tf.nn.avg_pool2d(tf.space_to_batch(x, (2, 3), ((0, 0), (0, 1))), (1, 2), 1, "SAME"),
            (2, 3),
            ((0, 0), (1, 0)),
        )
    ),
    "binning": Case(binned),
    "patches": Case(in_patches),
    "row sums": Case(lambda _, x: tf.cumsum(x, 2)),
    "row products, backwards and exclusive": Case(
        lambda _, x: tf.math.cumprod(1.0 + x / 1e4, 1, exclusive=True, reverse=True)
    ),
    "sort": Case(lambda _, x: tf.sort(x, axis=2), trials=40),
    "order": Case(lambda _, x: tf.cast(tf.argsort(x, axis=1), tf.float32), trials=40),
    "best of a row": Case(
        lambda _, x: tf.transpose(tf.math.top_k(tf.transpose(x, (0, 1, 3, 2)), 3)[0], (0, 1, 3, 2)), trials=80
    ),
    "softmax": Case(lambda _, x: tf.nn.softmax(x / 1e4, axis=1)),
    "fourier": Case(lambda _, x: tf.abs(tf.signal.rfft(tf.transpose(x, (0, 1, 3, 2))))),
    "fourier in two dimensions": Case(
        lambda _, x: tf.transpose(
            tf.math.real(tf.signal.fft2d(tf.cast(tf.transpose(x, (0, 3, 1, 2)), tf.complex64))), (0, 2, 3, 1)
        )
    ),
    "product with a band": Case(banded_product, {"w": (WIDTH, WIDTH)}),
    "product with blocks": Case(block_product, {"w": (HEIGHT, HEIGHT)}),
    "other products for other rows": Case(different_bands, {"w": (WIDTH, WIDTH)}),
    "windowed attention": Case(windowed_attention, trials=2),
    "shifted windows": Case(shifted_windows),
    "einsum over channels": Case(lambda s, x: tf.einsum("...c,cd->...d", x, s.w), {"w": (2, 3)}),
    "product with channels": Case(lambda s, x: tf.tensordot(x, s.w, 1), {"w": (2, 3)}),
    "squeeze and excite": Case(squeeze_and_excite, {"w": (2, 2)}, trials=2),
    "instance norm": Case(instance_norm),
    "norm of rows": Case(axial_norm),
    "local response": Case(local_response),
    "running mean": Case(running_mean),
    "scan": Case(scanned),
    "loop": Case(while_loop),
    "loop over columns": Case(recurrent_columns, {"w": (2, 2)}, output=SHAPE),
    "constant branch": Case(constant_branch),
    "loop in Python": Case(python_loop, trials=20, output=SHAPE),
    "branch in Python": Case(python_branch, trials=20, output=SHAPE),
    "branch": Case(branches, trials=20, output=SHAPE),
    "switch": Case(switch, trials=20, output=SHAPE),
    "decorated": Case(decorated, trials=20, output=SHAPE),
    "loop until": Case(loop_until, trials=20, output=SHAPE),
    "places by several numbers": Case(anywhere_by_places, trials=150),
    "map over the batch": Case(mapped),
    "vectorised map": Case(vectorised),
    "quantised": Case(quantised, before=(3, 1), trials=30),
    "straight through": Case(straight_through, trials=20),
    "own gradient": Case(own_gradient),
    "nothing but the shape": Case(nothing_but_shape),
    "histogram equalised": Case(lambda _, x: tf.image.adjust_contrast(x, 2.0)),
    "enlarged": Case(resized("bilinear", (20, 21))),
    "nearest": Case(resized("nearest", (7, 21))),
    "cubic": Case(resized("bicubic", (13, 20))),
    "area": Case(resized("area", (4, 9))),
    "smoothed": Case(resized("bilinear", (4, 5), antialias=True)),
    "lanczos": Case(resized("lanczos3", (12, 9))),
    "gaussian": Case(resized("gaussian", (12, 9))),
    "corners aligned": Case(raw_resized("ResizeBilinear", (19, 5), align_corners=True)),
    "no half pixels": Case(raw_resized("ResizeBilinear", (15, 21))),
    "nearest, corners aligned": Case(raw_resized("ResizeNearestNeighbor", (15, 21), align_corners=True)),
    "cubic, no half pixels": Case(raw_resized("ResizeBicubic", (15, 21))),
    "crops": Case(crops, output=(5, 9, 2)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_cell_depends_on_what_changes_it(name: str) -> None:
    case = CASES[name]
    model = case.model()
    looks = looked_at(model, case.shape)
    for axis in (0, 1):
        first, last = extents(changes(case, model, axis))
        low, high = spans_of(looks, "foreign", axis)
        np.testing.assert_array_equal(np.stack([low, high]), np.stack([first, last]), err_msg=f"axis {axis}")
    assert not looks.carried("foreign").marks.unknown


# -- weights and masks -------------------------------------------------------------------------------------------------


class RawConvolution(layers.Layer):
    """A convolution of raw code, of size 5x3.

    Args:
        initializer: of its kernel.
        changed: what is done to the kernel; called with the layer and the kernel.
    """

    def __init__(self, initializer: Any, changed: Any = lambda _, w: w) -> None:
        super().__init__(name="raw")
        self._initializer, self._changed = initializer, changed

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(3, 5, shape[-1], 4), initializer=self._initializer)
        self.mask = self.add_weight(shape=(3, 5, 1, 1), initializer="ones", trainable=False)
        mask = np.ones((3, 5, 1, 1))
        mask[:, :2] = 0
        self.mask.assign(mask)

    def call(self, x: Any) -> Any:
        return tf.nn.conv2d(x, self._changed(self, tf.convert_to_tensor(self.w)), 1, "SAME")


@pytest.mark.parametrize("trainable", [True, False])
def test_weights_that_happen_to_be_zero_are_no_masks(trainable: bool) -> None:
    image = keras.Input(SHAPE)
    layer = RawConvolution("zeros")
    layer.trainable = trainable
    assert size_in_the_middle(looked_at(keras.Model(image, layer(image))), "raw") == (5, 3)


def test_a_mask_may_be_a_weight_that_is_not_trained() -> None:
    image = keras.Input(SHAPE)
    layer = RawConvolution("zeros", lambda layer, w: w * layer.mask)
    assert size_in_the_middle(looked_at(keras.Model(image, layer(image))), "raw") == (3, 3)


@pytest.mark.parametrize("changed", [
    tf.floor,
    tf.sign,
    lambda w: tf.where(tf.abs(w) < tf.reduce_mean(tf.abs(w)), tf.zeros_like(w), tf.sign(w)),
    lambda w: (w - tf.reduce_mean(w, (0, 1, 2))) / tf.math.reduce_std(w, (0, 1, 2)),
    lambda w: tf.reshape(tf.nn.softmax(tf.reshape(w, (15, 2, 4)), 0), (3, 5, 2, 4)),
], ids=["floor", "sign", "ternary", "standardised", "softmax"])  # fmt: skip
def test_kernels_that_are_made_of_weights_have_no_holes(changed: Any) -> None:
    image = keras.Input(SHAPE)
    layer = RawConvolution("zeros", lambda _, w: changed(w))
    looks = looked_at(keras.Model(image, layer(image)))
    assert size_in_the_middle(looks, "raw") == (5, 3)


# -- operations of Keras without a rule of their own -------------------------------------------------------------------

OPERATIONS: dict[str, Any] = {
    "along an axis": lambda x: ops.take_along_axis(x, ops.argsort(x, axis=2), axis=2),
    "largest": lambda x: ops.cast(ops.argmax(x, axis=1, keepdims=True), "float32"),
    "differences": lambda x: ops.diff(x, axis=2),
    "quantile": lambda x: ops.quantile(x, 0.3, axis=2, keepdims=True),
    "triangle": lambda x: ops.transpose(ops.triu(ops.transpose(x, (0, 3, 1, 2)), 1), (0, 2, 3, 1)),
    "patches": lambda x: ops.image.extract_patches(x, (2, 3), strides=(2, 2), padding="same"),
    "moved by a matrix": lambda x: ops.image.affine_transform(
        x, np.array([[1.0, 0.5, 2.5, 0.0, 1.0, -1.25, 0.0, 0.0]], "float32"), interpolation="bilinear",
        fill_mode="nearest",
    ),
    "moved out": lambda x: ops.image.affine_transform(
        x, np.array([[1.0, 0.0, 3.0, 0.25, 1.0, -1.5, 0.0, 0.0]], "float32"), interpolation="bilinear"
    ),
    "short Fourier transform": lambda x: ops.stft(x[..., 0], 6, 3, 8)[0],
    "block written": lambda x: ops.slice_update(x, (0, 2, 3, 0), x[:, 6:8, 7:9]),
    "rows written": lambda x: ops.transpose(
        ops.scatter_update(ops.transpose(x, (1, 0, 2, 3)), [[0], [3]], ops.transpose(x[:, 5:7], (1, 0, 2, 3))),
        (1, 0, 2, 3),
    ),
    "segments": lambda x: ops.transpose(
        ops.segment_sum(ops.transpose(x, (2, 0, 1, 3)), np.arange(WIDTH) // 3, 5), (1, 2, 0, 3)
    ),
    "loop": lambda x: ops.fori_loop(0, 3, lambda _, y: ops.average_pool(y, (3, 1), 1, "same"), x),
    "scan": lambda x: ops.transpose(
        ops.scan(lambda c, r: (0.9 * c + r, 0.9 * c + r), x[:, 0], ops.transpose(x, (1, 0, 2, 3)))[1], (1, 0, 2, 3)
    ),
    "smoothed": lambda x: ops.image.resize(x, (5, 7), "bilinear", antialias=True),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_without_a_rule_are_followed_into_their_own_code(name: str) -> None:
    image = keras.Input(SHAPE, batch_size=1)
    model = keras.Model(image, layers.Identity(name="out")(OPERATIONS[name](image)))
    looks = looked_at(model)
    for axis in (0, 1):
        first, last = extents(changes(Case(OPERATIONS[name], trials=40, output=SHAPE), model, axis))
        low, high = spans_of(looks, "out", axis)
        np.testing.assert_array_equal(np.stack([low, high]), np.stack([first, last]), err_msg=f"axis {axis}")
    assert not looks.carried("out").marks.unknown


# -- layers in the code ------------------------------------------------------------------------------------------------


def size_in_the_middle(looks: ModelLooks, path: str) -> tuple[int, int]:
    """Width and height of what the cell in the middle depends on."""
    sizes = []
    for axis in (1, 0):
        low, high = spans_of(looks, path, axis)
        middle = tuple(n // 2 for n in low.shape)
        sizes.append(int(high[middle] - low[middle]))
    return sizes[0], sizes[1]


class TwoOutputs(layers.Layer):
    """A convolution of its own, then raw TensorFlow and an operation of Keras."""

    def build(self, shape: Any) -> None:
        self.conv = layers.Conv2D(2, (3, 5), padding="same", name="inner")
        self.conv.build(shape)

    def call(self, x: Any) -> Any:
        return tf.nn.avg_pool2d(self.conv(x), 3, 1, "SAME"), ops.max_pool(x, 2, 2)


def test_layers_that_raw_code_calls_are_found_by_name() -> None:
    image = keras.Input((16, 20, 2))
    looks = looked_at(keras.Model(image, TwoOutputs(name="two")(image)), (16, 20, 2))
    assert list(looks.entries) == ["two/inner", "two"]
    assert size_in_the_middle(looks, "two/inner") == (5, 3)
    assert size_in_the_middle(looks, "two") == (7, 5)


def test_models_that_raw_code_calls_are_entered() -> None:
    inside = keras.Input((16, 20, 3))
    part = keras.Model(inside, layers.Conv2D(4, (3, 5), name="deep")(layers.ReLU()(inside)), name="backbone")

    class Around(layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="around")
            self.part = part

        def call(self, x: Any) -> Any:
            return tf.nn.relu(self.part(tf.nn.avg_pool2d(x, 3, 1, "SAME")))

    image = keras.Input((16, 20, 3))
    looks = looked_at(keras.Model(image, Around()(image)), (16, 20, 3))
    assert size_in_the_middle(looks, "around/backbone/deep") == (7, 5)
    assert size_in_the_middle(looks, "around") == (7, 5)


def test_layers_in_loops_and_branches_are_followed() -> None:
    class Loop(layers.Layer):
        def build(self, shape: Any) -> None:
            self.conv = layers.Conv2D(2, (1, 3), padding="same", name="again")
            self.conv.build(shape)

        def call(self, x: Any) -> Any:
            _, y = tf.while_loop(lambda k, _: k < 3, lambda k, y: (k + 1, self.conv(y)), (0, x))
            return tf.cond(tf.reduce_sum(x[:, :2]) > 0, lambda: y, lambda: self.conv(y))

        def compute_output_shape(self, shape: Any) -> Any:
            return shape

    image = keras.Input(SHAPE)
    looks = looked_at(keras.Model(image, Loop(name="loop")(image)))
    low, high = spans_of(looks, "loop", 0)
    assert (low[-1] == 0).all()
    assert (high[-1] == HEIGHT).all()
    assert "loop/again" in looks.entries


def test_a_model_whose_call_is_raw_code() -> None:
    class Subclassed(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="sub")
            self.one = layers.Conv2D(2, 3, padding="same", name="one")
            self.two = layers.Conv2D(2, (3, 5), padding="same", name="two")

        def call(self, x: Any) -> Any:
            return self.two(tf.nn.max_pool2d(tf.nn.relu(self.one(x)), 2, 2, "SAME"))

    model = Subclassed()
    model(np.zeros((1, *SHAPE), "float32"))
    looks = looked_at(model)
    assert size_in_the_middle(looks, "one") == (3, 3)
    assert size_in_the_middle(looks, "two") == (12, 8)
    assert looks.whole == "sub"


def test_another_input_is_anything_but_zero() -> None:
    image, mask = keras.Input(SHAPE, name="image"), keras.Input(SHAPE, name="mask")

    class Times(layers.Layer):
        def call(self, x: Any, other: Any) -> Any:
            return tf.multiply(x, other)

    x = Times(name="times")(layers.Conv2D(2, 3, padding="same")(image), mask)
    looks = ModelLooks(keras.Model([image, mask], x), Inputs((SHAPE, SHAPE), 0), local=False)
    assert size_in_the_middle(looks, "times") == (3, 3)
    other = ModelLooks(keras.Model([image, mask], x), Inputs((SHAPE, SHAPE), 1), local=False)
    assert size_in_the_middle(other, "times") == (1, 1)


# -- between layers ----------------------------------------------------------------------------------------------------


class PoolWithPlaces(layers.Layer):
    """As SegNet pools; the places are handed on as numbers with a point."""

    def call(self, x: Any) -> Any:
        best, place = tf.nn.max_pool_with_argmax(x, 2, 2, "SAME")
        return [best, tf.cast(place, x.dtype)]


class Unpool(layers.Layer):
    """As SegNet enlarges: every number goes back to its place."""

    def call(self, inputs: Any) -> Any:
        new, place = inputs
        place = tf.cast(place, "int32")
        n, h, w, c = (tf.shape(new)[k] for k in range(4))
        h, w = 2 * h, 2 * w
        one = tf.ones_like(place)
        batch = one * tf.reshape(tf.range(n), (-1, 1, 1, 1))
        where = tf.stack([batch, place // (w * c), place // c % w, one * tf.range(c)])
        flat = tf.transpose(tf.reshape(where, (4, -1)))
        return tf.scatter_nd(flat, tf.reshape(new, (-1,)), (n, h, w, c))

    def compute_output_shape(self, shapes: Any) -> Any:
        n, h, w, c = shapes[0]
        return n, 2 * h, 2 * w, c


@pytest.mark.parametrize("channels", [1, 2, 24])
def test_places_of_maxima_stay_in_their_windows_from_layer_to_layer(channels: int) -> None:
    image = keras.Input((12, 16, 2))
    best, place = PoolWithPlaces()(layers.Conv2D(channels, 3, padding="same")(image))
    looks = looked_at(keras.Model(image, Unpool(name="unpool")([layers.Conv2D(channels, 1)(best), place])), (12, 16, 2))
    for axis, length in ((0, 12), (1, 16)):
        low, high = spans_of(looks, "unpool", axis)
        block = np.arange(length) // 2 * 2
        expected = np.maximum(block - 1, 0), np.minimum(block + 3, length)
        line = (slice(None), 3) if axis == 0 else (3, slice(None))
        np.testing.assert_array_equal([low[line], high[line]], expected)
        assert (low == low[line].reshape((-1, 1) if axis == 0 else (1, -1))).all()


def test_whole_numbers_between_layers_keep_their_type() -> None:
    class Pick(layers.Layer):
        def call(self, x: Any, column: Any) -> Any:
            return tf.gather(x, column, axis=2, batch_dims=1)

    image = keras.Input(SHAPE)
    column = Foreign(lambda _, x: tf.argmax(x[:, 0, :, 0], 1)[:, None], name="column")(image)
    looks = looked_at(keras.Model(image, Pick(name="picked")(image, column)))
    low, high = spans_of(looks, "picked", 1)
    assert (low == 0).all()
    assert (high == WIDTH).all()


def test_images_of_bytes() -> None:
    def inverted(_: Any, x: Any) -> Any:
        return tf.nn.avg_pool2d(tf.cast(tf.bitwise.invert(x), tf.float32), 3, 1, "SAME")

    image = keras.Input(SHAPE, dtype="uint8")
    assert size_in_the_middle(looked_at(keras.Model(image, Foreign(inverted)(image))), "foreign") == (3, 3)


def test_mixed_precision() -> None:
    class Half(layers.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(3, 5, shape[-1], 2))

        def call(self, x: Any) -> Any:
            return tf.nn.conv2d(x, tf.convert_to_tensor(self.w), 1, "SAME")

    image = keras.Input(SHAPE)
    looks = looked_at(keras.Model(image, Half(dtype="mixed_bfloat16", name="half")(image)))
    assert size_in_the_middle(looks, "half") == (5, 3)


def test_channels_that_are_told_apart_behind_a_concatenation() -> None:
    image = keras.Input(SHAPE)
    both = layers.Concatenate()(
        [layers.Conv2D(2, 3, padding="same")(image), layers.Conv2D(2, 5, padding="same")(image)]
    )
    even = layers.Lambda(lambda x: tf.nn.relu(x) * 2.0, name="even")(both)
    first = layers.Lambda(lambda x: x[..., :2] + tf.zeros(2), name="first")(both)
    assert size_in_the_middle(looked_at(keras.Model(image, even)), "even") == (5, 5)
    assert size_in_the_middle(looked_at(keras.Model(image, [even, first])), "first") == (3, 3)


def test_global_context_can_be_left_out() -> None:
    image = keras.Input(SHAPE)
    x = layers.Conv2D(2, 3, padding="same")(image)
    x = layers.Lambda(lambda x: x * tf.sigmoid(tf.reduce_mean(x, (1, 2), keepdims=True)), name="gated")(x)
    model = keras.Model(image, x)
    assert size_in_the_middle(looked_at(model), "gated") == (WIDTH, HEIGHT)
    local = ModelLooks(model, Inputs((SHAPE,), 0), local=True)
    assert size_in_the_middle(local, "gated") == (3, 3)


def test_boxes_that_the_image_chooses_may_lie_anywhere() -> None:
    image = keras.Input(SHAPE)
    looks = looked_at(keras.Model(image, Foreign(boxes_of_the_image)(image)))
    for axis, length in ((0, HEIGHT), (1, WIDTH)):
        low, high = spans_of(looks, "foreign", axis)
        assert (low == 0).all()
        assert (high == length).all()


# -- what cannot be followed -------------------------------------------------------------------------------------------


class LeavesTensorFlow(layers.Layer):
    """NumPy between two convolutions."""

    def build(self, shape: Any) -> None:
        self.before = layers.Conv2D(2, 3, padding="same", name="before")
        self.behind = layers.Conv2D(2, 3, padding="same", name="behind")
        self.before.build(shape)
        self.behind.build((*shape[:-1], 2))

    def call(self, x: Any) -> Any:
        y = self.before(x)
        return self.behind(tf.constant(np.sort(y.numpy(), axis=0)))

    def compute_output_shape(self, shape: Any) -> Any:
        return *shape[:-1], 2


def test_code_that_leaves_tensorflow_is_unknown_from_there_on() -> None:
    image = keras.Input(SHAPE)
    looks = looked_at(keras.Model(image, LeavesTensorFlow(name="leaves")(image)))
    assert size_in_the_middle(looks, "leaves/before") == (3, 3)
    assert not looks.carried("leaves/before").marks.unknown
    for path in ("leaves/behind", "leaves"):
        (reason,) = looks.carried(path).marks.unknown
        assert reason.startswith("leaves: ")
        assert size_in_the_middle(looks, path) == (WIDTH, HEIGHT)


@pytest.mark.parametrize("told", [True, False])
def test_python_functions_in_the_graph_are_unknown_and_named(told: bool) -> None:
    def call(x: Any) -> Any:
        y = tf.numpy_function(lambda x: np.flip(x, 1).copy(), [x], tf.float32)
        return tf.ensure_shape(y, x.shape) if told else tf.reshape(y, tf.shape(x))

    image = keras.Input(SHAPE)
    looks = looked_at(keras.Model(image, layers.Lambda(call, output_shape=SHAPE, name="sorcery")(image)))
    (reason,) = looks.carried("sorcery").marks.unknown
    assert reason.startswith("sorcery: ")


def test_a_count_that_the_image_decides_makes_what_comes_of_it_unknown() -> None:
    def summed(_: Any, x: Any) -> Any:
        return x * tf.reduce_sum(tf.boolean_mask(x, x > 0))

    image = keras.Input(SHAPE)
    looks = looked_at(keras.Model(image, Foreign(summed, name="summed")(image)))
    (reason,) = looks.carried("summed").marks.unknown
    assert reason.startswith("summed: ")
    assert size_in_the_middle(looks, "summed") == (WIDTH, HEIGHT)


def test_results_as_large_as_the_image_decides_are_an_error_with_a_name() -> None:
    def counted(_: Any, x: Any) -> Any:
        return tf.boolean_mask(x, tf.reduce_sum(x, (0, 2, 3)) > 0, axis=1)

    image = keras.Input(SHAPE)
    x = Foreign(counted, shape=SHAPE, name="counted")(layers.Conv2D(2, 3, padding="same", name="before")(image))
    looks = ModelLooks(keras.Model(image, x), Inputs((SHAPE,), 0), local=False)
    assert str(looks.asked.failure) == "counted: how large the result is, is decided by the image"
    assert size_in_the_middle(looks, "before") == (3, 3)


def test_what_code_refuses_is_its_own_error() -> None:
    image = keras.Input((None, None, 2))
    x = Foreign(lambda _, x: tf.reshape(x, (-1, 2, 6, 2)), name="fixed")(layers.ReLU(name="before")(image))
    looks = ModelLooks(keras.Model(image, x), Inputs((SHAPE,), 0), local=False)
    assert isinstance(looks.asked.failure, ValueError)
    assert "before" in looks.entries


def test_nothing_of_the_users_is_changed() -> None:
    class Counter(layers.Layer):
        def build(self, shape: Any) -> None:  # noqa: ARG002 - Keras' signature
            self.count = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.count.assign(self.count + 1)
            return tf.nn.relu(x) + tf.random.normal((2,))

    image = keras.Input(SHAPE)
    layer = Counter()
    model = keras.Model(image, layer(image))
    tf.random.set_seed(3)
    expected = tf.random.normal((3,)).numpy()
    tf.random.set_seed(3)
    looked_at(model)
    np.testing.assert_array_equal(tf.random.normal((3,)), expected)
    assert float(layer.count) == 0
