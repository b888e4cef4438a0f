"""What each layer of a backbone costs, and the whole."""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from adapters.analysis.memory import live_elements
from adapters.analysis.roofline import Machine
from adapters.analysis.tracing import Kind, Leaf, Shaped, call, trace
from adapters.backbones.builder import Backbone, Weights, build, expected_shapes
from adapters.backbones.rows import Row
from adapters.backbones.table import LayerTable
from adapters.errors import ModelPatchError
from adapters.modules import layer_of
from adapters.vocabulary import KERNEL, SCALE, STATISTICS

HEAD = "head"
BYTES_PER_VALUE = (4, 2, 1)


class CostSettingError(ModelPatchError):
    """A size or precision that no network has."""


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """One step of a network, see `tracing.Step`, for one image.

    Attributes:
      path: `block_03/expand`, or `block_03/add` for what stands between layers.
      kind: of layer, by the kernel's shape.
      output: shape of what it writes.
      multiply_adds: of its products.
      parameters: trainable weights that it reads first: norm statistics are none.
      weight_bytes: its weights as a device reads them, the norm folded into the kernel.
      activation_bytes: what it reads and writes.
      live_bytes: all activations in memory while it runs, see `memory`.
    """

    path: str
    kind: Kind
    output: tuple[int, ...]
    multiply_adds: int
    parameters: int
    weight_bytes: int
    activation_bytes: int
    live_bytes: int

    @property
    def moved_bytes(self) -> int:
        """Through memory: weights and activations."""
        return self.weight_bytes + self.activation_bytes

    def seconds(self, machine: Machine) -> float:
        """On the roofline of `machine`."""
        return machine.seconds(self.multiply_adds, self.moved_bytes)

    def limit(self, machine: Machine) -> Literal["compute", "memory"]:
        """What the time on `machine` goes by."""
        computes = self.multiply_adds > machine.ridge_point * self.moved_bytes
        return "compute" if computes else "memory"


@dataclasses.dataclass(frozen=True)
class NetworkCost:
    """A network by layers, in the order they run."""

    layers: tuple[LayerCost, ...]

    @property
    def multiply_adds(self) -> int:
        """Of one image."""
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def parameters(self) -> int:
        """Trainable weights, norms' scale and offset among them."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def weight_bytes(self) -> int:
        """Norms folded."""
        return sum(layer.weight_bytes for layer in self.layers)

    @property
    def peak(self) -> LayerCost:
        """The layer during which most activations are in memory: the first, if several are."""
        return max(self.layers, key=lambda layer: layer.live_bytes)

    def seconds(self, machine: Machine) -> float:
        """Sum of the layers' on the roofline of `machine`."""
        return sum(layer.seconds(machine) for layer in self.layers)

    def below(self, path: str) -> tuple[LayerCost, ...]:
        """The layers that are the module `path` or lie in it."""
        return tuple(
            layer
            for layer in self.layers
            if layer.path == path or layer.path.startswith(f"{path}/")
        )


def network_cost(
    backbone: Backbone, size: int = 224, classes: int = 0, bytes_per_value: int = 4
) -> NetworkCost:
    """Costs of one image through `backbone`, found by tracing it: nothing is computed.

    Args:
      backbone: any that `builder.build` makes.
      size: side of the square image, in pixels.
      classes: width of a fully connected head with bias; 0 for the extractor alone.
      bytes_per_value: of weights and activations: 4, 2 or 1.

    Raises:
      CostSettingError: `size` or `bytes_per_value` cannot be.

    >>> from adapters.backbones.builder import build
    >>> from adapters.backbones.mobilenet_v2 import mobilenet_v2
    >>> network_cost(build(mobilenet_v2()), size=224, classes=1000).multiply_adds
    300774272
    """
    smallest = backbone.table.rows[0].stride
    if size < smallest:
        raise CostSettingError(
            f"{backbone.table.name} sees nothing in an image of {size} px: give {smallest} or more."
        )
    if bytes_per_value not in BYTES_PER_VALUE:
        raise CostSettingError(
            f"{bytes_per_value} bytes a value: give one of {', '.join(map(str, BYTES_PER_VALUE))}."
        )
    shapes = _shapes(backbone.table)
    if classes:
        features = backbone.table.features
        kernel = jax.ShapeDtypeStruct((features, classes), jnp.float32)
        shapes[HEAD] = {"w": kernel, "b": jax.ShapeDtypeStruct((classes,), jnp.float32)}
    image = jax.ShapeDtypeStruct((size, size, 3), jnp.float32)
    return cost_of(
        functools.partial(_network, backbone, bool(classes)), shapes, image, bytes_per_value
    )


@functools.cache
def row_cost(row: Row, side: int, bytes_per_value: int = 4) -> NetworkCost:
    """Costs of one row of a table on a map of `side` x `side`: its share of any network's.

    Pooling, which no row is but a `Pooled`, is not among them.
    """
    table = LayerTable("row", (row,))
    ((name, _),) = table.named_rows()
    image = jax.ShapeDtypeStruct((side, side, row.inputs), jnp.float32)
    network = functools.partial(_network, build(table), False)
    return NetworkCost(cost_of(network, _shapes(table), image, bytes_per_value).below(name))


def _shapes(table: LayerTable) -> dict[str, dict[str, jax.ShapeDtypeStruct]]:
    return {
        path: {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in leaves.items()}
        for path, leaves in expected_shapes(table).items()
    }


def cost_of(
    network: Callable[[Any, jax.Array], jax.Array],
    weights: Shaped,
    image: jax.ShapeDtypeStruct,
    bytes_per_value: int = 4,
) -> NetworkCost:
    """Costs of `network(weights, image)`, any function of Haiku modules: see `network_cost`."""
    traced = trace(network, weights, image)
    elements = {
        (path, name): math.prod(leaf.shape)
        for path, leaves in weights.items()
        for name, leaf in leaves.items()
    }
    layers, seen = [], set[Leaf]()
    for step, live in zip(traced.steps, live_elements(traced), strict=True):
        trained = {leaf for leaf in step.leaves - seen if leaf[1] not in STATISTICS}
        activations = (*step.reads, *step.writes)
        layers.append(
            LayerCost(
                path=step.path,
                kind=step.kind,
                output=traced.shapes[step.writes[-1]] if step.writes else (),
                multiply_adds=step.multiply_adds,
                parameters=sum(elements[leaf] for leaf in trained),
                weight_bytes=bytes_per_value * sum(elements[leaf] for leaf in _folded(step.leaves)),
                activation_bytes=bytes_per_value
                * sum(math.prod(traced.shapes[number]) for number in activations),
                live_bytes=bytes_per_value * live,
            )
        )
        seen |= step.leaves
    return NetworkCost(tuple(layers))


def _network(backbone: Backbone, head: bool, weights: Weights, image: jax.Array) -> Any:
    outputs = backbone.apply(weights, image)
    features, maps = outputs.features, [outputs.endpoints[own.name] for own in backbone.table.neck]
    if head:
        features = call(HEAD, lambda: features @ weights[HEAD]["w"] + weights[HEAD]["b"])
    return features, *maps


def _folded(leaves: Iterable[Leaf]) -> set[Leaf]:
    """What is left once a norm is one line, and its gain lies in the kernel before it if any."""
    owned = set(leaves)
    return {
        (path, name)
        for path, name in owned
        if name not in STATISTICS and not (name == SCALE and (layer_of(path), KERNEL) in owned)
    }
