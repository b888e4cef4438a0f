"""ReMaX: masks and classes of panoptic segmentation relaxed while training, in JAX.

Sun et al., "ReMaX: Relaxing for Better Training on Efficient Panoptic Segmentation",
arXiv 2306.17319. Both formulas are our reconstruction, of descriptions: of what the paper says of
its operators, and no code of it was seen. Answers know nothing of either.
"""

from typing import Any

import jax


def remasked(masks: Any, semantic: Any, logits: Any) -> Any:
    """ReMask: m + (sg[sigmoid(s)] sigmoid(p)^T) * m, masks louder where a pixel's class fits.

    Where s, which classes a pixel may have, says that a mask's pixel is of none of the classes p
    that the mask may have, the mask stays as it is. No gradient of what is returned reaches s.

    Args:
      masks: m, logits [..., queries].
      semantic: s, logits [..., classes] of the same pixels.
      logits: p, of the classes of each mask, [queries, classes].
    """
    likely = jax.lax.stop_gradient(jax.nn.sigmoid(semantic)) @ jax.nn.sigmoid(logits).T
    return masks + likely * masks


def reclassed(wanted: Any, overlaps: Any, share: float) -> Any:
    """ReClass: y + share * o * (1 - y), a mask's class and, a little, those that it lies on.

    Args:
      wanted: y, 1 for the class of each mask, [queries, classes].
      overlaps: o, the share of each predicted mask that lies on each class; no gradient passes.
      share: eta, from 0 to 1.
    """
    return wanted + share * jax.lax.stop_gradient(overlaps) * (1 - wanted)
