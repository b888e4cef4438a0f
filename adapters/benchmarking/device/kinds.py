"""Files of tasks of three kinds on one backbone with a neck, and of each kind on one of its own."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from adapters.backbones import necks, registry
from adapters.backbones.builder import build
from adapters.benchmarking import cases, stand_ins
from adapters.benchmarking.device import make, names
from adapters.export import litert
from adapters.fingerprint import fingerprint
from adapters.heads import linear
from adapters.heads.registry import from_spec
from adapters.inference.compiled import inference
from adapters.runtime import signatures
from adapters.runtime.graph_file import write_graph
from adapters.runtime.room_choice import room_of
from adapters.runtime.rooms import Room
from adapters.store.write import write_patch

NECK = "ssdlite"
HEADS = {"classifier": "classification", "detector": "ssdlite", "segmenter": "segmentation"}


def named(backbone: str) -> str:
    """The backbone that the kinds share: a layer table's with the neck that the detector reads."""
    return f"{backbone}{necks.SEPARATOR}{NECK}"


def write_files(backbone: str, size: int, folder: pathlib.Path) -> None:
    """Writes one graph for all kinds, a patch of each task, and each kind's own graph.

    Args:
      backbone: a layer table.
      size: of all tasks' images, in pixels.
      folder: they lie in a new folder in it.
    """
    folder = names.kinds(folder)
    folder.mkdir()
    name = named(backbone)
    table = registry.table(name)
    network, weights = build(table, epsilon=make.EPSILON), stand_ins.weights(table)
    mark, rooms = fingerprint(weights), dict[str, Room]()
    for kind, spec in HEADS.items():
        head = from_spec(spec)
        seen = inference(network, 1, size, taps=head.taps)
        contents = make.patch_contents(name, weights, mark, seen, head, names.TASKS.index(kind))
        rooms[kind] = room_of(contents, size)
        for number, each in enumerate(names.TASKS):
            if each == kind:
                own = dataclasses.replace(contents, task=f"task_{number}")
                write_patch(folder / names.patch(number), own)
        values = contents.edits, contents.head
        alone = litert.export_task(network, weights, make.EPSILON, *values, size, (1,), kind=head)
        (folder / names.own(kind)).write_bytes(alone)
    others = tuple(room for room in rooms.values() if room.head.computes != linear.COMPUTES)
    kinds = (signatures.NORMS, signatures.FOLDED)
    settings = litert.Settings(cases.DEVICE_CLASSES, (size,), (1,), kinds, others=others)
    graph = litert.export_backbone(
        name, network, weights, mark, make.EPSILON, (make.PIXELS, make.PIXELS), settings
    )
    write_graph(folder / names.LITERT, graph)


def files(folder: pathlib.Path) -> Mapping[str, Sequence[pathlib.Path]]:
    """{what a device may be given: its files} of those that `write_files` wrote."""
    inside = names.kinds(folder)
    graph, own = inside / names.LITERT, {kind: inside / names.own(kind) for kind in HEADS}
    patches = [inside / names.patch(number) for number in range(len(names.TASKS))]
    return {
        "graph for three kinds": [graph],
        f"graph for three kinds and {len(names.TASKS)} patches": [graph, *patches],
        **{f"patch of a {kind}": [patches[names.TASKS.index(kind)]] for kind in HEADS},
        **{f"graph of one {kind}": [path] for kind, path in own.items()},
        f"graphs of {len(HEADS)} tasks": list(own.values()),
        f"graphs of {len(names.TASKS)} tasks": [own[kind] for kind in names.TASKS],
    }
