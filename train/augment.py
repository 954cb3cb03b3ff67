"""Random affine augmentation inside the input pipeline: a whole batch in one operation, on the processor's other core."""

from __future__ import annotations

import math
from typing import Any

from train.recipes import Augmentation


def random_affine(images: Any, settings: Augmentation) -> Any:
    """Rotate, shift, zoom and shear each image of a batch by its own random amount; pixels from outside repeat the edge.

    images float32 tensor [N, H, W, C]; returns the same shape. Each output pixel (x, y) is read from the input at A·(x, y) + t, about the
    image's centre, with bilinear interpolation.
    """
    import tensorflow as tf

    count, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]

    def uniform(limit: float) -> Any:
        return tf.random.uniform([count], -limit, limit)

    angle = uniform(math.radians(settings.rotation_degrees))
    zoom_x, zoom_y, shear = 1 + uniform(settings.zoom), 1 + uniform(settings.zoom), uniform(settings.shear)
    a, b = tf.cos(angle) * zoom_x, -tf.sin(angle) * zoom_y + shear
    c, d = tf.sin(angle) * zoom_x, tf.cos(angle) * zoom_y
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    shift_x = centre_x - a * centre_x - b * centre_y + uniform(settings.shift * width)
    shift_y = centre_y - c * centre_x - d * centre_y + uniform(settings.shift * height)
    zero = tf.zeros_like(a)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, shift_x, c, d, shift_y, zero, zero], axis=1),
        output_shape=[height, width],
        interpolation="BILINEAR",
        fill_mode="NEAREST",
        fill_value=0.0,
    )
