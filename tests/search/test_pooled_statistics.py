"""One set of norm statistics for all tasks: the moments of all their images."""

import jax
import jax.numpy as jnp
import numpy as np

from adapters.patches.bias import bias
from adapters.search.pooled_statistics import pooled_statistics
from adapters.training.forward import mixed_forward
from tests import narrow


def test_every_task_s_moments_are_those_of_all_images():
    """Of the stem, whose convolution is done here by NumPy, an image's patch at a time."""
    images = narrow.normalised(narrow.images(2, 3)[0])
    weights, patch = narrow.weights(), bias()
    rows = jax.vmap(patch.init, (0, None))(jax.random.split(jax.random.key(0), 3), weights)
    network = pooled_statistics(narrow.BACKBONE)
    forward = mixed_forward(network, patch, narrow.LAYOUT, "batch")
    inputs = {"image": images}
    keys = jax.random.split(jax.random.key(0), images.shape[:2])
    run = jax.jit(
        lambda images: (
            forward(weights, rows, {}, jnp.asarray([2, 0]), {"image": images}, keys, 0.0).moments
        )
    )
    found = run(images)["stem/norm"]

    padded = np.pad(np.asarray(inputs["image"]), [(0, 0), (0, 0), (0, 1), (0, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))[:, :, ::2, ::2]
    outputs = np.einsum("gexychw,hwco->gexyo", windows, np.asarray(weights["stem"]["w"]))
    for row in range(3):
        np.testing.assert_allclose(found["mean"][row], outputs.mean((0, 1, 2, 3)), atol=1e-5)
        np.testing.assert_allclose(found["var"][row], outputs.var((0, 1, 2, 3)), rtol=1e-4)
