"""Decodes, rotates, resizes and crops JPEG and PNG images with TensorFlow operations."""

import math
from typing import Any

from keras_se.export.errors import require
from keras_se.weights import Preprocessing

KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic", "lanczos": "lanczos3"}
# The EXIF orientation is searched for in this many bytes, after the marker: an entry of one 16-bit number, in little or
# big endian.
HEAD_BYTES, MARKER = 4096, b"Exif\0\0"
ENTRIES = (b"\x12\x01\x03\x00\x01\x00\x00\x00", b"\x01\x12\x00\x03\x00\x00\x00\x01\x00")
# Values of the orientation, by the step that undoes it.
FLIP_WIDTH, FLIP_HEIGHT, TRANSPOSE = (2, 3, 6, 7), (3, 4, 7, 8), (5, 6, 7, 8)


def load_image(encoded: Any, prepared: Preprocessing) -> Any:
    """Computes `Preprocessing.load_image` of the bytes of a file.

    Decoded values equal those of Pillow. Resized values differ by one or two levels of 255, where rounding goes the
    other way. The orientation of PNG files is ignored.

    Args:
        encoded: A scalar string tensor: the bytes of a JPEG or PNG file.
        prepared: The size, the crop and the interpolation.

    Returns:
        A float32 tensor of shape (height, width, 3) of whole numbers from 0 to 255.
    """
    tf = require("tensorflow", "tensorflow")
    # It decodes PNG files as well, and this method rounds as Pillow does.
    image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    image = _upright(tf, image, _orientation(tf, encoded))
    (height, width), size = tf.unstack(tf.shape(image, tf.int64)[:2]), prepared.size
    resized = _resized(tf, height, width, prepared)
    starts = [
        tf.cast(tf.round(tf.cast(large - small, tf.float64) / 2), tf.int64)
        for large, small in zip(resized, size, strict=True)
    ]
    if prepared.interpolation == "nearest":
        for axis, known in enumerate((height, width)):
            image = _nearest(tf, image, axis, size[axis], known, resized[axis], starts[axis])
        return tf.ensure_shape(tf.cast(image, tf.float32), (*size, 3))
    image, kernel = tf.cast(image, tf.float32)[None], KERNELS[prepared.interpolation]
    # As in Pillow, one axis after the other, with whole numbers in between.
    for axis, known in ((1, width), (0, height)):
        shape = [size[0] if axis == 0 else height, size[1]]
        scale, shift = [1.0, 1.0], [0.0, 0.0]
        scale[axis] = tf.cast(resized[axis] / known, tf.float32)
        shift[axis] = -tf.cast(starts[axis], tf.float32)
        image = tf.raw_ops.ScaleAndTranslate(
            images=image,
            size=tf.stack([tf.cast(side, tf.int32) for side in shape]),
            scale=tf.stack(scale),
            translation=tf.stack(shift),
            kernel_type=kernel,
            antialias=True,
        )
        image = tf.clip_by_value(tf.floor(image + 0.5), 0.0, 255.0)
    return tf.ensure_shape(image[0], (*size, 3))


def _resized(tf: Any, height: Any, width: Any, prepared: Preprocessing) -> tuple[Any, Any]:
    """Height and width before the crop, as `Preprocessing` computes them."""
    least_height, least_width = (math.floor(side / prepared.crop) for side in prepared.size)
    if least_height == least_width:
        longer = least_width * tf.maximum(width, height) // tf.minimum(width, height)
        upright, least = width < height, tf.constant(least_width, tf.int64)
        return tf.where(upright, longer, least), tf.where(upright, least, longer)
    sides = [tf.cast(side, tf.float64) for side in (height, width)]
    ratio = tf.minimum(sides[0] / least_height, sides[1] / least_width)
    return tuple(tf.cast(tf.round(side / ratio), tf.int64) for side in sides)


def _nearest(tf: Any, image: Any, axis: int, count: int, known: Any, resized: Any, start: Any) -> Any:
    step = tf.cast(known, tf.float64) / tf.cast(resized, tf.float64)
    # A running sum, as in Pillow: its rounding error decides between two pixels at equal distance.
    centres = tf.cumsum(tf.concat([[step / 2], tf.fill([start + count - 1], step)], 0))[start:]
    return tf.gather(image, tf.clip_by_value(tf.cast(centres, tf.int64), 0, known - 1), axis=axis)


def _orientation(tf: Any, encoded: Any) -> Any:
    """The EXIF orientation, from 1 to 8, in the first 4 kB of the file; 1 if there is none."""
    head = tf.cast(tf.io.decode_raw(tf.strings.substr(encoded, 0, HEAD_BYTES), tf.uint8), tf.int32)
    length = max(map(len, ENTRIES)) + 1
    # Row i holds the bytes from byte i on.
    rows = tf.gather(tf.pad(head, [[0, length]]), tf.range(tf.size(head))[:, None] + tf.range(length)[None])
    marked = tf.cumsum(tf.cast(_starts_with(tf, rows, MARKER), tf.int32)) > 0
    found = tf.zeros((0,), tf.int32)
    for entry in ENTRIES:
        found = tf.concat([found, tf.boolean_mask(rows[:, len(entry)], _starts_with(tf, rows, entry) & marked)], 0)
    return tf.concat([found, [1]], 0)[0]


def _starts_with(tf: Any, rows: Any, text: bytes) -> Any:
    return tf.reduce_all(rows[:, : len(text)] == tf.constant(list(text)), axis=1)


def _upright(tf: Any, image: Any, orientation: Any) -> Any:
    def is_one_of(values: tuple[int, ...]) -> Any:
        return tf.reduce_any(orientation == tf.constant(values))

    image = tf.cond(is_one_of(TRANSPOSE), lambda: tf.transpose(image, (1, 0, 2)), lambda: image)
    for axis, values in ((1, FLIP_WIDTH), (0, FLIP_HEIGHT)):
        flipped = tf.reverse(image, [axis])
        image = tf.where(is_one_of(values), flipped, image)
    return image
