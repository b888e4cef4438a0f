"""An ONNX graph while it is made: nodes, initialisers, and what rules want to know of them."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.export.onnx.values import Constant, Tensor, Value

OPSET = 17  # ONNX Runtime has read it since version 1.12
IR_VERSION = 8
IMAGES_AXIS = "N"


class Builder:
    """Collects nodes; those that nothing uses in the end are left out."""

    def __init__(self) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._numpy = helper, numpy_helper
        self._nodes: list[Any] = []
        self._initialisers: dict[str, Any] = {}
        self._known: dict[tuple[Any, ...], str] = {}
        self.notes: dict[str, object] = {}  # how a tensor was made, where a later rule may ask
        self._inputs: list[Any] = []
        self._numbers = itertools.count()

    def input(self, name: str, dimensions: Sequence[int | str]) -> None:
        """Declares a float32 input, which calls must give; a dimension's name leaves it open."""
        self._inputs.append(self._information(name, dimensions))

    def constant(self, value: Constant) -> str:
        """The name of an initialiser; equal ones are stored once."""
        array = np.ascontiguousarray(value)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self._unused("constant")
            self._initialisers[self._known[key]] = self._numpy.from_array(array, self._known[key])
        return self._known[key]

    def integers(self, *numbers: int) -> str:
        """The name of a vector of int64."""
        return self.constant(np.asarray(numbers, np.int64))

    def number(self, number: float) -> str:
        """The name of a float32 scalar."""
        return self.constant(np.asarray(number, np.float32))

    def node(self, operation: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node of one output, and gives that output's name."""
        output = self._unused(operation)
        self._nodes.append(
            self._helper.make_node(operation, inputs, [output], name=output, **attributes)
        )
        return output

    def cast(self, name: str, dtype: npt.DTypeLike) -> str:
        """The name of a tensor with the same elements as numbers of this type."""
        kind = self._helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.node("Cast", name, to=kind)

    def arranged(self, value: Value, axes: Sequence[int]) -> str:
        """The name of a tensor that has the array's `axes` in this order, after that of images.

        It has length 1 along those that the array is the same along, as ONNX broadcasts. All others
        that are longer than 1 have to be in `axes`.
        """
        if not isinstance(value, Tensor):
            others = [axis for axis in range(value.ndim) if axis not in axes]
            array = np.transpose(value, [*others, *axes])
            return self.constant(array.reshape([value.shape[axis] for axis in axes]))
        first = int(value.mapped)
        name = value.name
        spare = [axis for axis in value.stored if axis not in axes]
        if spare:
            name = self.node("Squeeze", name, self.integers(*map(value.position, spare)))
        kept = [axis for axis in value.stored if axis in axes]
        order = [kept.index(axis) for axis in axes if axis in kept]
        if order != sorted(order):
            name = self.node("Transpose", name, perm=[*range(first), *(at + first for at in order)])
        missing = [at + first for at, axis in enumerate(axes) if axis not in kept]
        return self.node("Unsqueeze", name, self.integers(*missing)) if missing else name

    def whole(self, value: Value) -> str:
        """The name of a tensor that has all of the array's axes in their order, and full length."""
        axes = range(len(value.shape))
        name = self.arranged(value, axes)
        if isinstance(value, Tensor) and any(
            value.shape[axis] > 1 for axis in set(axes) - set(value.stored)
        ):
            shape = self.integers(*[1] * value.mapped, *value.shape)
            return self.node("Expand", name, shape)
        return name

    def of_each_image(self, value: Value) -> str:
        """The name of a tensor [N, ...] that has the whole array for every image."""
        name = self.whole(value)
        if isinstance(value, Tensor) and value.mapped:
            return name
        images = self._inputs[0].name
        count = self.node("Shape", images, start=0, end=1)
        lengths = self.node("Concat", count, self.integers(*value.shape), axis=0)
        return self.node("Expand", name, lengths)

    def model(
        self,
        outputs: Mapping[str, tuple[Sequence[int | str], str]],
        metadata: Mapping[str, str],
    ) -> bytes:
        """The serialised graph.

        Args:
          outputs: by what each is called, its dimensions and the tensor that it is.
          metadata: texts to keep with the graph.

        Raises onnx.checker.ValidationError where the graph is no valid one.
        """
        import onnx

        for name, (_, result) in outputs.items():
            self._nodes.append(self._helper.make_node("Identity", [result], [name], name=name))
        needed, nodes = {*outputs}, []
        for node in reversed(self._nodes):
            if needed & set(node.output):
                nodes.append(node)
                needed |= set(node.input)
        graph = self._helper.make_graph(
            nodes[::-1],
            "modelpatch",
            self._inputs,
            [self._information(name, own) for name, (own, _) in outputs.items()],
            [tensor for name, tensor in self._initialisers.items() if name in needed],
        )
        opset = self._helper.make_opsetid("", OPSET)
        model = self._helper.make_model(
            graph, opset_imports=[opset], ir_version=IR_VERSION, producer_name="modelpatch"
        )
        self._helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(model, full_check=True)
        return model.SerializeToString(deterministic=True)

    def _information(self, name: str, dimensions: Sequence[int | str]) -> Any:
        import onnx

        return self._helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, dimensions)

    def _unused(self, about: str) -> str:
        return f"{about}_{next(self._numbers)}"
