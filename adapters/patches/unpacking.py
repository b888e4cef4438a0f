"""From a patch file's edits back to what a task owns, to train it further: the inverse of `pack`.

Most families write each value that they train once, as it is or times a number. That is a linear
map whose transpose `jax.vjp` gives, and whose product with its transpose is diagonal: so no family
has to say how it is turned round, and what comes out is checked by packing it again.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from adapters.errors import ModelPatchError
from adapters.patches.contract import LeafEdits, Patch, PatchParams


class UnpackingError(ModelPatchError):
    """Edits that a patch cannot begin with."""


def unpacked(patch: Patch, params: PatchParams, edits: LeafEdits) -> PatchParams:
    """What one task owns so that `patch.pack` gives these edits.

    Leaves that no edit speaks of stay as they are in `params`, of which a task is made; a file of
    `bias` is a beginning for `scale_bias`, say.

    Raises UnpackingError for edits that the patch does not make, or makes in another shape, and for
    a patch that writes other than its values: bits, say.
    """
    start = params.trained, params.measured

    def pack(own: Any) -> LeafEdits:
        return patch.pack(params._replace(trained=own[0], measured=own[1]))

    @jax.jit
    def solved(own: Any, edits: LeafEdits) -> Any:
        given, back = jax.vjp(pack, own)
        ones = jax.tree.map(jnp.ones_like, given)
        (touched,), forward = jax.vjp(back, ones)
        (squares,) = forward((touched,))
        (new,) = back(
            jax.tree.map(lambda edit, square: edit / jnp.where(square, square, 1), edits, squares)
        )
        return jax.tree.map(
            lambda old, value, moved: jnp.where(moved != 0, value, old), own, new, touched
        )

    given = pack(start)
    if any(leaf.dtype != jnp.float32 for leaf in jax.tree.leaves(given)):
        raise _no_way_back(patch)
    wanted = _laid_over(given, edits, patch)
    try:
        trained, measured = solved(start, wanted)
    except (TypeError, ValueError, jax.errors.JAXTypeError) as error:
        raise _no_way_back(patch) from error
    found = params._replace(trained=trained, measured=measured)
    pairs = zip(jax.tree.leaves(patch.pack(found)), jax.tree.leaves(wanted), strict=True)
    if not all(np.allclose(made, edit, rtol=1e-5, atol=1e-6) for made, edit in pairs):
        raise _no_way_back(patch)
    return found


def _laid_over(given: LeafEdits, edits: LeafEdits, patch: Patch) -> LeafEdits:
    """`given` with the edits of the same places in their stead."""
    left = {
        (kind, path, name): jnp.asarray(array)
        for kind, modules in edits.items()
        for path, leaves in modules.items()
        for name, array in leaves.items()
    }

    def over(keys: tuple[Any, ...], old: jax.Array) -> jax.Array:
        place = " ".join(key.key for key in keys)
        new = left.pop(tuple(key.key for key in keys), old)
        if new.shape != old.shape:
            raise UnpackingError(
                f"the file's edit {place} has the shape {list(new.shape)}, the patch {patch.spec} "
                f"makes {list(old.shape)}: choose the patch that the file was trained with."
            )
        return new

    laid = jax.tree.map_with_path(over, given)
    if left:
        places = [" ".join(place) for place in left]
        raise UnpackingError(
            f"the file makes {len(places)} edits that the patch {patch.spec} does not, "
            f"{places[0]} for one: choose the patch and the norm mode that it was trained with."
        )
    return laid


def _no_way_back(patch: Patch) -> UnpackingError:
    return UnpackingError(
        f"the patch {patch.spec} writes something else than the values that it trains, so that it "
        "cannot begin with a file: begin anew, or choose scale_bias, say."
    )
