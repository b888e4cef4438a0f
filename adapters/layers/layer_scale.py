"""Layer scale: Touvron, Cord, Sablayrolles, Synnaeve, Jégou, arXiv 2103.17239, section 2."""

import haiku as hk
import jax

INITIAL = 1e-5


class LayerScale(hk.Module):
    """One factor a channel at the end of a residual branch; leaf `gain` [C].

    It is no norm's scale: patches of scales and offsets leave it to the backbone.
    """

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps [H, W, C] to the same shape."""
        init = hk.initializers.Constant(INITIAL)
        return x * hk.get_parameter("gain", x.shape[-1:], x.dtype, init)[None, None]
