"""The contract: a patch is a function from weights to weights, for one image of one task.

After optax: a patch is a tuple of small pure functions; `chain` and `select` compose them; nothing
asks which family a patch is. `jax.vmap` makes batches, tables and mixed tasks out of it.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import jax

Weights = Mapping[str, Mapping[str, jax.Array]]
Context = Mapping[str, Any]
Inputs = Mapping[str, jax.Array]
"""Of one example, by name: `image` [H, W, 3], normalised, and whatever else a patch needs."""
Predicate = Callable[[str, str, Any], bool]
LeafEdits = Mapping[str, Mapping[str, Mapping[str, Any]]]


class PatchParams(NamedTuple):
    """What one task owns.

    Attributes:
      trained: pytree that gradients flow to.
      measured: pytree of the task's own norm statistics, written from the moments a network
        returns; the last two keys of a leaf's tree path are its module path and its name.
      fixed: pytree of what `init` chose and nothing moves afterwards.
    """

    trained: Any = ()
    measured: Any = ()
    fixed: Any = ()


def _same_weights(key: jax.Array, weights: Weights) -> Weights:
    del key
    return weights


class AuxiliaryPrediction(NamedTuple):
    """Features that a classifier of their own reads, beside the network's.

    Attributes:
      features: [F].
      weight: float32 scalar, how much this prediction's loss counts beside the network's 1.
    """

    features: jax.Array
    weight: jax.Array


class Modulated(NamedTuple):
    """What becomes of a map F [..., C] that a head reads: `gain` F + `shift`, both [C]."""

    gain: jax.Array
    shift: jax.Array


class Prepared(NamedTuple):
    """What a first look at one image gave.

    Attributes:
      leaves: to be put over the patched weights, for this image alone.
      auxiliary: further predictions, by name.
      moments: of the norms that looked, as a backbone returns them.
      maps: how maps are modulated before a head reads them, by their names.
    """

    leaves: Weights
    auxiliary: Mapping[str, AuxiliaryPrediction]
    moments: Weights
    maps: Mapping[str, Modulated] = {}  # a mapping that JAX knows; nobody changes it


Prepare = Callable[[Weights, Inputs, Context], Prepared]


def no_look(weights: Weights, inputs: Inputs, context: Context) -> Prepared:
    """The `prepare` of a patch that treats all images alike."""
    del weights, inputs, context
    return Prepared({}, {}, {})


def _no_penalty(params: PatchParams, context: Context) -> float:
    del params, context
    return 0.0


def _no_cost(params: PatchParams) -> Mapping[str, Any]:
    del params
    return {}


def _no_edits(params: PatchParams) -> LeafEdits:
    del params
    return {}


def _same_rates(weights: Weights, params: PatchParams, context: Context) -> Any:
    del weights, params, context
    return 1.0


class Need(NamedTuple):
    """An input that a patch reads beside the image: its name, and its shape for one example."""

    name: str
    shape: tuple[int, ...]


class _Functions(NamedTuple):
    """The fields of a `Patch`, which says what they are."""

    init: Callable[[jax.Array, Weights], PatchParams]
    apply: Callable[[Weights, PatchParams, Context], Weights]
    extend: Callable[[jax.Array, Weights], Weights] = _same_weights
    prepare: Prepare = no_look
    penalty: Callable[[PatchParams, Context], Any] = _no_penalty
    cost: Callable[[PatchParams], Mapping[str, Any]] = _no_cost
    pack: Callable[[PatchParams], LeafEdits] = _no_edits
    rates: Callable[[Weights, PatchParams, Context], Any] = _same_rates
    needs: tuple[Need, ...] = ()
    spec: str = ""
    for_maps: Callable[[Mapping[str, str]], "Patch"] | None = None
    reads_texts: bool = False


class Patch(_Functions):
    """One family of patches, with its settings closed over: a tuple of pure functions.

    A copy that `_replace` makes has no spec, unless it is given one: it is another patch.

    Attributes:
      init: (key, weights) -> PatchParams of ONE task; `apply` then changes nothing of the network's
        outputs, to the bit.
      apply: (weights, params, context) -> weights with leaves replaced or optional leaves added.
      extend: (key, weights) -> weights with the shared leaves this patch needs.
      prepare: (patched weights, inputs, context) -> Prepared, after a first look at the inputs of
        one example; `no_look` where there is none. It comes after `apply` and sees no params, so
        that it is the same on a device, where a file's edits have taken their place. The context
        holds the `backbone` and, where norms are not frozen, `norm`: (mode, membership, axis
        names) as `Backbone.apply` takes them, (`folded`,) in an exported graph; in training also
        `key` and `progress`.
      penalty: (params, context) -> scalar added to the task's loss; its context has `progress`
        alone.
      cost: (params) -> {"KIND/PATH/LEAF": bits that a float32 file stores}; traceable.
      pack: (params) -> {kind: {module path: {leaf: array}}}, the hard edits a file stores; kinds
        and the spelling of their parts are those of `adapters.store.kinds`. Modules of a patch's
        own, which `apply` adds for `prepare` to read, are of the kind `module`.
      needs: the inputs that `prepare` reads beside the image; `dict(needs)` is {name: shape}.
      rates: (shared weights, params, context) -> a tree prefix of `params.trained`: what the
        learning rate is multiplied by, scalars, or arrays that broadcast to a leaf. It is in which
        units a leaf learns: see `adapters.patches.sizes`. Leaves below a 0 stay as they are.
      for_maps: ({name of a map: the endpoint that it is}) -> this patch for tasks whose heads read
        these, see `adapters.backbones.taps.place`; None where it is the same for all. Asked before
        `init`, and by nobody else; its own spec does not count.
      reads_texts: whether `init` leaves room for the vectors of a task's texts, which are put in
        before training; see `adapters.patches.embeddings`.
      spec: the text that `registry.from_spec` makes this patch of; empty where there is none.
    """

    __slots__ = ()

    def _replace(self, /, **changes: Any) -> Self:
        return super()._replace(**{"spec": "", **changes})
