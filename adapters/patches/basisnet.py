"""Kernels mixed anew for every image, by a small network that looks at it first.

Zhang, Chu, Zhmoginov, Howard, Jou, Zhu, Zhang, Hwa, Kovashka, "BasisNet: Two-stage Model Synthesis
for Efficient Inference", arXiv 2105.03014. A preview network sees the image at low resolution and
gives a prediction of its own and, for each of K layers, coefficients [N] = softmax(logits / T); the
specialist's kernels are those mixtures of N bases. Both train jointly, with one loss each.

Certain: the two stages, the joint loss, early exit. From memory of the paper, so our
reconstruction: the even mix that training starts from and the dropout of bases; over what share of
a run the even mix fades and that a basis is dropped for an example, not a batch, are our choices. A
kernel is w + sum_n coefficient_n bases_n: see `adapters.layers.mixture`.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from adapters.backbones import registry
from adapters.backbones.builder import build, expected_shapes
from adapters.backbones.table import LayerTable
from adapters.modules import PREVIEW, inside, under
from adapters.patches.bases import (
    Kernels,
    Sharing,
    check_settings,
    layers_with_bases,
    with_bases,
)
from adapters.patches.contract import (
    AuxiliaryPrediction,
    Context,
    Inputs,
    Patch,
    Prepared,
    Weights,
)
from adapters.patches.head_only import head_only
from adapters.patches.naming import named
from adapters.patches.settings import PatchSettingError, check_setting

# PREVIEW, before its modules' paths, is also what its prediction is called.
_COEFFICIENTS = f"{PREVIEW}/coefficients"


@named
def basisnet(
    preview: str,
    bases: int = 4,
    blocks: int = 3,
    kernels: Kernels = "pointwise",
    tail: bool = False,
    per: Sharing = "layer",
    preview_size: int = 32,
    preview_weight: float = 1.0,
    temperature: float = 1.0,
    anneal: float = 0.3,
    dropout: float = 0.0625,
    spread: float = 0.1,
) -> Patch:
    """A network whose late kernels are mixed for each image.

    Bases and preview network are shared by all tasks and trained where the shared weights are
    (`train_shared`); a task owns its two classifiers. A preview network of the backbone's own
    layer table starts as a copy of it; any other starts from random weights and the statistics of
    norms that have seen nothing, so train it in a norm mode that measures them.

    Args:
      preview: the layer table of the preview network, of any width.
      bases: N; see `adapters.patches.bases.with_bases`, also for the next three and the last.
      blocks: how many of the last blocks have them.
      kernels: of which convolutions: `pointwise`, `depthwise` or `both`.
      tail: whether the 1x1 convolution after the last block has bases, too.
      per: coefficients for every `layer`, or the same for the whole `network`.
      preview_size: side of the image that it sees, in pixels.
      preview_weight: of its prediction's loss, beside the network's 1.
      temperature: T, by which the coefficients' logits are divided.
      anneal: share of the run over which an even mix fades into the image's own; 0: none.
      dropout: probability that an example's own mixture does without a basis, in training.
      spread: of bases that are drawn because the weights have none.

    Raises PatchSettingError, or UnknownNameError for `preview`; `prepare` raises PatchSettingError
    for weights without a preview network.
    """
    check_settings(bases, blocks, kernels, per, spread)
    check_setting("preview_size", preview_size, 1 <= preview_size <= 1024, "from 1 to 1024")
    check_setting("preview_weight", preview_weight, preview_weight >= 0, "0 or more")
    check_setting("temperature", temperature, temperature > 0, "above 0")
    check_setting("anneal", anneal, 0 <= anneal <= 1, "from 0 to 1")
    check_setting("dropout", dropout, 0 <= dropout < 1, "from 0 to below 1")
    table = registry.table(preview)

    def extend(key: jax.Array, weights: Weights) -> Weights:
        keys = jax.random.split(key, 3)
        extended = dict(with_bases(keys[0], weights, bases, blocks, kernels, tail, spread))
        if layers_with_bases(weights) == []:  # an even mix of new ones is the kernel itself
            extended = {path: _centred(leaves) for path, leaves in extended.items()}
        rows = len(layers_with_bases(extended)) if per == "layer" else 1
        shape = (table.features, rows * bases)
        if _COEFFICIENTS in weights:
            _check_preview(weights, table, shape)
            return extended
        looking = _initial_preview(keys[1], weights, table)
        w = 0.01 * jax.random.normal(keys[2], shape, jnp.float32)
        return {
            **extended,
            **under(PREVIEW, looking),
            _COEFFICIENTS: {"w": w, "b": jnp.zeros(shape[1:], jnp.float32)},
        }

    def prepare(weights: Weights, inputs: Inputs, context: Context) -> Prepared:
        if _COEFFICIENTS not in weights:
            raise PatchSettingError(
                "the weights have no preview network, which a basisnet patch looks with: give "
                "the weights of the run that made the patch, its backbone.safetensors.",
                settings=["weights"],
            )
        backbone = context["backbone"]
        network = build(table, backbone.padding, backbone.epsilon)
        small = jax.image.resize(inputs["image"], (preview_size, preview_size, 3), "linear")
        seen = network.apply(inside(PREVIEW, weights), small, *context.get("norm", ("frozen",)))
        layer = weights[_COEFFICIENTS]
        logits = (seen.features @ layer["w"] + layer["b"]).reshape(-1, bases) / temperature
        if "key" in context and dropout > 0:
            logits = _dropped(context["key"], logits, dropout)
        mix = jax.nn.softmax(logits)
        if "progress" in context and anneal > 0:
            even = jnp.maximum(0.0, 1 - context["progress"] / anneal)
            mix = even / bases + (1 - even) * mix
        layers = layers_with_bases(weights)
        rows = jnp.broadcast_to(mix, (len(layers), bases))
        weight = jnp.asarray(preview_weight, jnp.float32)
        return Prepared(
            leaves={path: {"mix": row} for path, row in zip(layers, rows, strict=True)},
            auxiliary={PREVIEW: AuxiliaryPrediction(seen.features, weight)},
            moments=under(PREVIEW, seen.moments),
        )

    return head_only()._replace(extend=extend, prepare=prepare)


def _centred(leaves: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    if "bases" not in leaves:
        return dict(leaves)
    drawn = leaves["bases"]
    return {**leaves, "bases": drawn - jnp.mean(drawn, axis=0, keepdims=True)}


def _initial_preview(key: jax.Array, weights: Weights, table: LayerTable) -> Weights:
    """The backbone's own weights where the preview network is the same, else random ones."""
    shapes = expected_shapes(table)
    own = {
        path: {name: leaf for name, leaf in weights[path].items() if name in leaves}
        for path, leaves in shapes.items()
        if path in weights
    }
    same = {
        path: {name: leaf.shape for name, leaf in leaves.items()} for path, leaves in own.items()
    }
    return own if same == shapes else build(table).init(key)


def _check_preview(weights: Weights, table: LayerTable, coefficients: tuple[int, int]) -> None:
    expected = under(PREVIEW, expected_shapes(table))
    expected[_COEFFICIENTS] = {"w": coefficients, "b": coefficients[1:]}
    for path, leaves in expected.items():
        for name, shape in leaves.items():
            found = weights.get(path, {}).get(name)
            if found is None or found.shape != shape:
                raise PatchSettingError(
                    f"the weights' preview network has {path}/{name} "
                    f"{'missing' if found is None else list(found.shape)}; the patch's settings "
                    f"preview={table.name}, bases and per ask for {list(shape)}. Give the settings "
                    "that made the weights."
                )


def _dropped(key: jax.Array, logits: jax.Array, probability: float) -> jax.Array:
    """Logits [K, N] without a few bases, the same ones for all layers; never without all."""
    kept = jax.random.bernoulli(key, 1 - probability, logits.shape[-1:])
    kept = kept | ~jnp.any(kept)
    return jnp.where(kept, logits, -jnp.inf)
