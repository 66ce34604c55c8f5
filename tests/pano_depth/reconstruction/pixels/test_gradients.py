"""Images on the sphere: their gradient, their means, and how parts become one."""

import jax.numpy as jnp
import numpy as np
import pytest

from pano_depth.kernels import sphere
from pano_depth.reconstruction.pixels import gradients

HEIGHT = 64


def test_the_gradient_of_a_linear_function_is_its_tangential_part_everywhere():
    rays = sphere.pixel_rays(HEIGHT, 2 * HEIGHT)
    slope = np.array([0.3, -0.5, 0.7])
    image = (rays @ slope).astype(np.float32)
    found = np.stack(gradients.on_sphere(image, gradients.tangents(HEIGHT)), axis=-1)
    expected = slope - image[..., None] * rays
    np.testing.assert_allclose(found, expected, atol=4e-3)  # seam and poles, too
    np.testing.assert_allclose(np.sum(found * rays, axis=-1), 0, atol=1e-6)


@pytest.mark.parametrize('block', [1, 2, 4])
def test_a_shrunk_image_holds_the_means_of_its_blocks(block):
    image = np.random.default_rng(block).random((3, 8 * block, 16 * block), np.float32)
    found = np.asarray(gradients.shrunk(jnp.asarray(image), 8))
    expected = image.reshape(3, 8, block, 16, block).mean(axis=(2, 4))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    np.testing.assert_allclose(
        np.asarray(gradients.shrunk(jnp.asarray(image[0]), 8)), expected[0], rtol=1e-6
    )


def test_parts_become_the_image_that_they_were_taken_from():
    image = np.random.default_rng(0).integers(0, 2**32, (2, 6, 12), np.uint32)
    parts = [[image[:, row::2, column::2] for column in range(2)] for row in range(2)]
    np.testing.assert_array_equal(gradients.interleaved(parts), image)
    plain = [[part[0] for part in columns] for columns in parts]
    np.testing.assert_array_equal(gradients.interleaved(plain), image[0])
