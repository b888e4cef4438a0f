"""A network as a list of steps, found by tracing it: no row of any table is read.

A step is one of

  a layer     a module that owns a kernel `w`, with the norm and the activation inside it;
  a product   a matrix product outside such a module: attention's two, of activations;
  the rest    whatever else stands between layers (sums, gates, pooling, softmax). What follows one
              another in one block is a single step, as compilers fuse it.

What is computed from weights alone is no step: it is done once, before the first image. Neither is
a reshape or a transpose: layers can read and write in any order. A new layer or block needs nothing
to be counted here: products are found wherever they are written, and a module becomes a step of its
own by calling its kernel `w`.
"""

import posixpath
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import haiku as hk
import jax
from jax.extend import core

from adapters.analysis.counting import multiply_adds, shape, size
from adapters.modules import block_of
from adapters.vocabulary import KERNEL

Kind = Literal["convolution", "depthwise", "pointwise", "dense", "product", "other"]
Leaf = tuple[str, str]  # module path, name
Shaped = Mapping[str, Mapping[str, Any]]  # weights, or as many `jax.ShapeDtypeStruct`

_VIEWS = ("reshape", "squeeze", "expand_dims", "broadcast_in_dim", "transpose")  # of equal size


class Step(NamedTuple):
    """One step of a network, for one image.

    Attributes:
      path: of a layer its module's, `block_03/expand`; else that of the module around it and the
        operation that touches most, `block_03/add`.
      kind: by its kernel's shape; "product" and "other" have none.
      multiply_adds: see `counting`.
      leaves: the weights it reads.
      reads, writes: numbers of the activations that it takes from other steps and gives to them.
    """

    path: str
    kind: Kind
    multiply_adds: int
    leaves: frozenset[Leaf]
    reads: tuple[int, ...]
    writes: tuple[int, ...]


class Trace(NamedTuple):
    """A network's steps in the order they are written.

    Attributes:
      steps: in order; every activation is written before it is read.
      shapes: of each activation by its number; the image is number 0.
      results: the activations that the network gives.
    """

    steps: tuple[Step, ...]
    shapes: Mapping[int, tuple[int, ...]]
    results: tuple[int, ...]


def trace(
    network: Callable[[Any, jax.Array], jax.Array],
    weights: Shaped,
    image: jax.ShapeDtypeStruct,
) -> Trace:
    """Traces `network(weights, image)` by shapes alone: nothing is computed.

    Raises UncountableError.
    """
    layers = {path: leaves[KERNEL].shape for path, leaves in weights.items() if KERNEL in leaves}

    def intercept(method: Callable, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name != "__call__" or context.module.module_name not in layers:
            return method(*args, **kwargs)
        return call(context.module.module_name, lambda: method(*args, **kwargs))

    with hk.intercept_methods(intercept):
        jaxpr = jax.make_jaxpr(network)(weights, image).jaxpr
    keys, _ = jax.tree_util.tree_flatten_with_path(weights)
    leaves = [(path.key, name.key) for (path, name), _ in keys]
    return _Reading(jaxpr, leaves).trace(layers)


def call(path: str, function: Callable[[], Any]) -> Any:
    """Calls `function` so that its trace shows one equation named `path`: a layer."""

    def layer() -> Any:
        return function()

    layer.__name__ = path
    return jax.jit(layer)()


class _Group(NamedTuple):
    """Equations that make one step."""

    path: str
    layer: bool
    multiply_adds: int
    equations: list[core.JaxprEqn]

    @property
    def written(self) -> set[core.Var]:
        return {output for equation in self.equations for output in equation.outvars}

    def fuses_with(self, other: "_Group") -> bool:
        """Whether both stand between layers, and in one block."""
        between = not any(group.layer or group.multiply_adds for group in (self, other))
        return between and block_of(self.path) == block_of(other.path)


class _Reading:
    """A jaxpr whose first inputs are weights and whose last one is the image."""

    def __init__(self, jaxpr: core.Jaxpr, leaves: Iterable[Leaf]):
        *weights, self._image = jaxpr.invars
        self._jaxpr = jaxpr
        # What is known without an image, and the weights that it was made of.
        self._constant: dict[core.Var, frozenset[Leaf]] = {
            **dict.fromkeys(jaxpr.constvars, frozenset()),
            **{var: frozenset([leaf]) for var, leaf in zip(weights, leaves, strict=True)},
        }
        self._viewed: dict[core.Var, core.Var] = {}

    def trace(self, layers: Mapping[str, tuple[int, ...]]) -> Trace:
        groups = self._groups(layers)
        results = self._activations(self._jaxpr.outvars)
        read = [
            self._activations(v for equation in group.equations for v in equation.invars)
            for group in groups
        ]
        numbers = {self._image: 0}
        steps = []
        for index, group in enumerate(groups):
            written = group.written
            wanted = {var for later in [*read[index + 1 :], results] for var in later} & written
            for var in dict.fromkeys(v for equation in group.equations for v in equation.outvars):
                if var in wanted:
                    numbers[var] = len(numbers)
            steps.append(
                Step(
                    _name(group),
                    _kind(group, layers),
                    group.multiply_adds,
                    self._leaves(group.equations),
                    tuple(numbers[var] for var in read[index] if var not in written),
                    tuple(numbers[var] for var in numbers if var in wanted),
                )
            )
        shapes = {number: shape(var) for var, number in numbers.items()}
        return Trace(tuple(steps), shapes, tuple(numbers[var] for var in results))

    def _groups(self, layers: Iterable[str]) -> list[_Group]:
        groups: list[_Group] = []
        for equation in self._jaxpr.eqns:
            inputs = [var for var in equation.invars if isinstance(var, core.Var)]
            if all(var in self._constant for var in inputs):
                made_of = frozenset().union(*(self._constant[var] for var in inputs))
                self._constant.update(dict.fromkeys(equation.outvars, made_of))
                continue
            if _is_view(equation):
                self._viewed[equation.outvars[0]] = self._viewed.get(inputs[0], inputs[0])
                continue
            layer, stack = str(equation.params.get("name")), str(equation.source_info.name_stack)
            path = layer if layer in layers else stack
            group = _Group(path, layer in layers, multiply_adds(equation), [equation])
            if groups and group.fuses_with(groups[-1]):
                before = groups.pop()
                path = posixpath.commonpath([before.path, path])
                group = group._replace(path=path, equations=[*before.equations, equation])
            groups.append(group)
        return groups

    def _activations(self, variables: Iterable[Any]) -> tuple[core.Var, ...]:
        """Those that depend on the image, each once, and views as what they look at."""
        found = (
            self._viewed.get(var, var)
            for var in variables
            if isinstance(var, core.Var) and var not in self._constant
        )
        return tuple(dict.fromkeys(found))

    def _leaves(self, equations: Iterable[core.JaxprEqn]) -> frozenset[Leaf]:
        inputs = (var for equation in equations for var in equation.invars)
        known = (self._constant.get(var) for var in inputs if isinstance(var, core.Var))
        return frozenset().union(*filter(None, known))


def _is_view(equation: core.JaxprEqn) -> bool:
    sizes = {size(variable) for variable in (equation.invars[0], equation.outvars[0])}
    return equation.primitive.name in _VIEWS and len(sizes) == 1


def _name(group: _Group) -> str:
    if group.layer or "->" in group.path:
        return group.path  # JAX adds an einsum's indices, which say more than its operation

    def touched(equation: core.JaxprEqn) -> int:
        return sum(map(size, equation.invars)) + sum(map(size, equation.outvars))

    most = max(group.equations, key=touched)
    operation = most.params.get("name", most.primitive.name).strip("_")
    if operation.startswith("custom_") and group.path:
        return group.path  # a function with a derivative of its own, whose name JAX does not keep
    return f"{group.path}/{operation}" if group.path else operation


def _kind(group: _Group, layers: Mapping[str, tuple[int, ...]]) -> Kind:
    if not group.layer:
        return "product" if group.multiply_adds else "other"
    kernel = layers[group.path]
    if len(kernel) == 4:
        return "depthwise" if kernel[2] == 1 else "convolution"
    return "dense" if len(shape(group.equations[0].outvars[0])) == 1 else "pointwise"
