"""The file that holds an exported backbone: a LiteRT graph, and what patches need beside it.

A `.tflite` flatbuffer, which any LiteRT runtime opens as it is, and after it a tail that such
runtimes do not look at:

| part | bytes |
|---|---|
| flatbuffer | a multiple of 16 |
| safetensors: the leaves that are no constants of the graph; its metadata, canonical JSON | n |
| sha256 of everything above | 32 |
| n, little-endian | 8 |
| `MPGRAPH1` | 8 |

Kernels are not stored twice: the JSON says where in the flatbuffer each of them lies, and in which
order of axes.
"""

import dataclasses
import functools
import hashlib
import json
import math
import os
import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import safetensors
import safetensors.numpy

from adapters import files
from adapters.errors import ModelPatchError, UnknownNameError
from adapters.fingerprint import fingerprint
from adapters.heads import linear
from adapters.heads.contract import HeadSettingError
from adapters.modules import module_and_leaf
from adapters.runtime import int8, signatures
from adapters.runtime.rooms import Room
from adapters.store.signed_folder import check_file
from adapters.store.trust import Trusted

MAGIC = b"MPGRAPH1"
_KEY = "modelpatch_graph"
_ALIGNMENT = 16
_HEADER_LIMIT = 1 << 22  # bytes of JSON, which takes thirty times as many to read
_LARGEST_FACTOR = np.finfo(np.float32).max / 128
_POOLED = "classification"  # every head that reads the pooled features computes the same
_TAIL = struct.Struct(f"<32sQ{len(MAGIC)}s")

Array = npt.NDArray[np.float32]
Weights = Mapping[str, Mapping[str, Array]]
Shape = tuple[int, ...]


class GraphFileError(ModelPatchError):
    """A file that is no exported backbone, a damaged one, or none at all."""


class Place(NamedTuple):
    """Where a leaf lies in the flatbuffer: as float32, or as int8 with factors.

    Attributes:
      shape: of the leaf.
      axes: the leaf's axes in the order in which they are stored.
      offsets: first byte of each copy.
      factors: first byte of each copy of the factors, float32, that int8 is multiplied by; none
        where the leaf is float32.
    """

    shape: Shape
    axes: tuple[int, ...]
    offsets: tuple[int, ...]
    factors: tuple[int, ...] = ()

    def read(self, graph: bytes | bytearray) -> Array:
        """The leaf, of `shape`; a view where it is stored as float32."""
        kept = self._stored(graph, self.offsets[0])
        return kept * self._factors(graph, self.factors[0]) if self.factors else kept

    def check(self, graph: bytes) -> None:
        """Raises ValueError unless every copy lies inside `graph`."""
        counts = (*self.shape, *self.offsets, *self.factors)
        if not self.offsets or not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError("a leaf lies nowhere")
        if sorted(self.axes) != [*range(len(self.shape))]:
            raise ValueError("a leaf's axes are not those of its shape")
        for offset in self.offsets:
            self._stored(graph, offset)
        for offset in self.factors:
            if not (np.abs(self._factors(graph, offset)) <= _LARGEST_FACTOR).all():
                raise ValueError("int8 is multiplied by what gives no numbers")

    def write(self, graph: bytearray, leaf: Array) -> None:
        """Puts `leaf` [shape] where every copy lies, rounded if that is as int8."""
        kept: npt.NDArray[Any] = leaf
        if self.factors:
            factors = int8.factors_of(leaf)
            kept = int8.integers_of(leaf, factors)
            for offset in self.factors:
                self._factors(graph, offset)[...] = factors
        for offset in self.offsets:
            self._stored(graph, offset)[...] = kept

    def _stored(self, graph: bytes | bytearray, offset: int) -> npt.NDArray[Any]:
        lengths = tuple(self.shape[axis] for axis in self.axes)
        flat = np.frombuffer(graph, "<i1" if self.factors else "<f4", math.prod(lengths), offset)
        return flat.reshape(lengths).transpose(np.argsort(self.axes))

    def _factors(self, graph: bytes | bytearray, offset: int) -> Array:
        return np.frombuffer(graph, "<f4", self.shape[-1], offset)


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """An exported backbone.

    Attributes:
      backbone: its name.
      fingerprint: of its weights.
      epsilon: of its norms.
      mean: of RGB pixels in 0..255, that it was trained with; patches must have the same.
      std: likewise.
      features: width of the pooled features.
      classes: outputs that there is room for in a head which reads those: no patch may have more.
      sizes: sides of the square images that such heads have signatures for, in pixels.
      batches: numbers of images that there are signatures for.
      inputs: what the signatures of each kind take beside images and head, as `module/leaf`; see
        `adapters.runtime.signatures`.
      kernels: leaves that are constants of the graph, by `module/leaf`.
      biases: what folding a norm leaves of it, by `norm/offset`; NaN until somebody folds.
      leaves: all other leaves of the backbone, float32.
      flatbuffer: the `.tflite`.
      tolerance: how far a patch's logits may be from those that its file states, as a part of the
        largest one, because kernels are rounded and the file does not state logits for that; 0
        where they are not.
      partial: whether the fingerprint is of more than this network: of one, too, that looks at
        images first.
    """

    backbone: str
    fingerprint: str
    epsilon: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    features: int
    classes: int
    sizes: tuple[int, ...]
    batches: tuple[int, ...]
    inputs: Mapping[str, tuple[str, ...]]
    kernels: Mapping[str, Place]
    biases: Mapping[str, Place]
    leaves: Weights
    flatbuffer: bytes
    tolerance: float = 0.0
    partial: bool = False
    others: tuple[Room, ...] = ()

    @property
    def rooms(self) -> tuple[Room, ...]:
        """Which heads the graph takes: those that read the pooled features, and `others`."""
        read = {linear.FEATURES: self.features}
        pooled = (Room(_POOLED, {}, read, self.classes, size) for size in self.sizes)
        return (*pooled, *self.others)

    def signature(self, kind: str, room: Room, batch: int) -> str:
        """The name of the signature of a kind that heads in this room have."""
        number = 1 + self.others.index(room) if room in self.others else 0
        return signatures.signature(kind, room.size, batch, number)

    @property
    def is_whole(self) -> bool:
        """Whether all that the fingerprint is of is here as it was, and none of it rounded."""
        return not self.partial and not self.kernels_are_int8

    @property
    def kernels_are_int8(self) -> bool:
        """Whether kernels are rounded."""
        return any(place.factors for place in self.kernels.values())

    @functools.cached_property
    def weights(self) -> dict[str, dict[str, Array]]:
        """The whole backbone, {module: {leaf: array}}, as the graph computes with it."""
        whole = {module: dict(leaves) for module, leaves in self.leaves.items()}
        for name, place in self.kernels.items():
            module, leaf = module_and_leaf(name)
            whole.setdefault(module, {})[leaf] = place.read(self.flatbuffer)
        return whole

    @functools.cached_property
    def shapes(self) -> dict[str, dict[str, Shape]]:
        """{module: {leaf: shape}} of the backbone."""
        return {
            module: {name: leaf.shape for name, leaf in leaves.items()}
            for module, leaves in self.weights.items()
        }


def leaf_of(weights: Weights, name: str) -> Array:
    """The leaf called `module/leaf`."""
    module, leaf = module_and_leaf(name)
    return weights[module][leaf]


def write_graph(path: str | os.PathLike[str], graph: Graph) -> None:
    """Writes an exported backbone: equal ones give equal bytes. Raises NotWrittenError."""
    described = {
        field.name: getattr(graph, field.name)
        for field in dataclasses.fields(graph)
        if field.name not in ("leaves", "flatbuffer")
    }
    text = json.dumps(described, sort_keys=True, separators=(",", ":"))
    tensors = {
        f"{module}/{name}": np.ascontiguousarray(leaf)
        for module, leaves in graph.leaves.items()
        for name, leaf in leaves.items()
    }
    body = graph.flatbuffer + bytes(-len(graph.flatbuffer) % _ALIGNMENT)
    beside = safetensors.numpy.save(tensors, metadata={_KEY: text})
    digest = hashlib.sha256(body + beside).digest()
    files.write_bytes(path, body + beside + _TAIL.pack(digest, len(beside), MAGIC))


def read_graph(path: str | os.PathLike[str], trusted: Trusted | None = None) -> Graph:
    """Reads what `write_graph` wrote, and checks all of it against its digest.

    The fingerprint is computed from the leaves that are there, where they are all of it.

    Args:
      path: of the file.
      trusted: keys one of which must have signed the folder that the file lies in, and the file
        with it; None asks nobody.

    Raises GraphFileError when the file cannot be opened, is damaged, is something else, or holds
    other weights than it says; with `trusted` what `signed_folder.check_file` raises.
    """
    try:
        data = files.read_regular(path)
    except OSError as error:
        raise GraphFileError(
            f"{path} cannot be read ({error.strerror}): give an exported backbone."
        ) from error
    if trusted is not None:
        check_file(path, data, trusted)  # before anything of it is interpreted
    digest, length, magic = _TAIL.unpack(data[-_TAIL.size :].rjust(_TAIL.size, b"\0"))
    if magic != MAGIC:
        raise GraphFileError(
            f"{path} is no exported backbone: give the file that exporting one wrote."
        )
    end = len(data) - _TAIL.size
    if length > end or hashlib.sha256(memoryview(data)[:end]).digest() != digest:
        raise GraphFileError(
            f"{path} is damaged: its content does not match its digest. Fetch or export it again."
        )
    beside = data[end - length : end]
    try:
        size = int.from_bytes(beside[:8], "little")
        if size > _HEADER_LIMIT:
            raise ValueError(f"its header has more than {_HEADER_LIMIT} bytes")
        header = json.loads(beside[8 : 8 + size])
        described: dict[str, Any] = json.loads(header["__metadata__"][_KEY])
        leaves: dict[str, dict[str, Array]] = {}
        for name, leaf in safetensors.numpy.load(beside).items():
            module, own = module_and_leaf(name)
            leaves.setdefault(module, {})[own] = leaf
        for field in ("kernels", "biases"):
            described[field] = {
                name: Place(*(tuple(part) for part in place))
                for name, place in described[field].items()
            }
        for field in ("sizes", "batches", "mean", "std"):
            described[field] = tuple(described[field])
        described["inputs"] = {kind: tuple(names) for kind, names in described["inputs"].items()}
        described["others"] = tuple(Room(*each) for each in described.get("others", ()))
        graph = Graph(**described, leaves=leaves, flatbuffer=data[: end - length])
        _check(graph)
        if graph.is_whole and fingerprint(graph.weights) != graph.fingerprint:
            raise GraphFileError(
                f"{path} holds other weights than those it names, {graph.fingerprint[:12]}: fetch "
                "or export it again."
            )
        return graph
    except (
        *(safetensors.SafetensorError, ValueError, KeyError, TypeError),
        *(AttributeError, IndexError, OverflowError, RecursionError, HeadSettingError),
        UnknownNameError,
    ) as error:
        raise GraphFileError(
            f"{path} was written by another version of modelpatch ({error}): export it again."
        ) from error


def _check(graph: Graph) -> None:
    """Raises ValueError, TypeError or KeyError unless everything is of its kind and fits."""
    for place in (*graph.kernels.values(), *graph.biases.values()):
        place.check(graph.flatbuffer)
    texts = (graph.backbone, graph.fingerprint, *graph.inputs)
    counts = [graph.features, graph.classes, *graph.sizes, *graph.batches]
    for room in graph.others:
        counts += [room.outputs, room.size, *room.channels.values()]
        room.shapes  # noqa: B018, of a head that is known, with channels for all that it reads
    numbers = (graph.epsilon, graph.tolerance, *graph.mean, *graph.std)
    if not (
        all(isinstance(text, str) for text in texts)
        and all(type(count) is int and count > 0 for count in counts)
        and all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and (len(graph.mean), len(graph.std), type(graph.partial)) == (3, 3, bool)
        and graph.sizes
        and graph.batches
    ):
        raise ValueError("something in it is of another kind")
    # No file says itself how well it is checked.
    if not 0 <= graph.tolerance <= (int8.TOLERANCE if graph.kernels_are_int8 else 0):
        raise ValueError(f"its tolerance is {graph.tolerance:g}")
    for name in (*graph.biases, *(name for names in graph.inputs.values() for name in names)):
        leaf_of(graph.weights, name)
