"""Patch files, backbones and tasks in words and figures."""

import functools
import inspect
from collections import Counter
from collections.abc import Mapping, Sequence

from adapters.analysis.cost import HEAD, LayerCost, NetworkCost, network_cost
from adapters.analysis.roofline import Machine
from adapters.backbones import registry as tables
from adapters.backbones.builder import build, count_parameters
from adapters.backbones.forms import with_forms
from adapters.backbones.necks import SEPARATOR
from adapters.backbones.pretrained import PRETRAINED, Pretrained
from adapters.backbones.table import LayerTable
from adapters.errors import UnknownNameError
from adapters.experiment import backbones
from adapters.heads.contract import Head
from adapters.heads.registry import head_of
from adapters.store.contents import PatchContents, first_looks
from adapters.store.kinds import leaf_and_part
from adapters.store.training_course import in_words
from adapters.store.write import patch_size
from adapters.training.report import grid
from adapters.words import NOTHING, Words
from tasks import loading
from tasks.task import Task


def describe_patch(contents: PatchContents) -> str:
    """The card of a patch, and where its bytes go."""
    size = patch_size(contents)
    scores = ", ".join(f"{split} {100 * s:.2f} %" for split, s in contents.scores.items())
    layers = Counter(
        f"{kind} {leaf}"
        for kind, modules in contents.edits.items()
        for named in modules.values()
        for leaf in {leaf_and_part(kind, name)[0] for name in named}
    )
    edited = ", ".join(f"{leaf} in {count} modules" for leaf, count in sorted(layers.items()))
    return _lines(
        f"patch {contents.patch} of task {contents.task} {contents.task_version}",
        [
            ("backbone", f"{contents.backbone}, fingerprint {contents.fingerprint[:16]}"),
            ("norm", contents.norm),
            (contents.metric, scores),
            *_predicted(head_of(contents), contents.labels, contents.inputs, contents.words),
            ("preprocessing", _listed(contents.preprocessing)),
            *([("data", _listed(contents.data))] if contents.data else []),
            *([("training", in_words(contents.training))] if contents.training else []),
            ("encoding", contents.encoding),
            ("edits", edited or "none: the head alone"),
            *(
                (
                    f"head {name!r}",
                    "reads a first look at the image (docs/basisnet.md)",
                )
                for name in first_looks(contents)
            ),
            ("bytes", f"{size.total:,}"),
            *(
                (f"  {part}", f"{getattr(size, part):,}")
                for part in ("edits", "statistics", "head", "header")
            ),
        ],
    )


def describe_backbone(
    name: str,
    machine: Machine,
    size: int = 224,
    bytes_per_value: int = 4,
    layers: bool = False,
    weights: str | None = None,
) -> str:
    """The layer table, row by row, with what each row costs; and the weights' provenance.

    Args:
      name: of a pretrained backbone or of a table.
      machine, size, bytes_per_value: see `analysis.cost.network_cost`.
      layers: whether a second table shows every layer.
      weights: a file of its weights that has its layer table, which no registry has.

    Raises UnknownNameError, and what `backbones.load` raises of a file.
    """
    origin, table = _origin_and_table(name, weights)
    cost = cost_of_backbone(name, size, bytes_per_value, weights)
    extractor = NetworkCost(tuple(layer for layer in cost.layers if layer.path != HEAD))
    facts = [
        ("features", f"{table.features}"),
        ("parameters", f"{count_parameters(table):,} in the extractor"),
        ("", f"{count_parameters(table, 1000):,} with a 1000-way head"),
        ("", f"{count_parameters(table, 1000, statistics=True):,} with norm statistics too"),
        ("multiply-adds", f"{extractor.multiply_adds:,} in the extractor, at {size} px"),
        ("", f"{cost.multiply_adds:,} with a 1000-way head"),
        ("weight bytes", f"{extractor.weight_bytes:,} of {bytes_per_value} a value, norms folded"),
        ("peak memory", f"{cost.peak.live_bytes:,} bytes of activations, in {cost.peak.path}"),
        ("roofline", f"{1e3 * extractor.seconds(machine):.3g} ms on {_described(machine)}"),
    ]
    if origin:
        facts += [
            ("weights", origin.about),
            ("carrier", f"{origin.carrier.package} {origin.carrier.version}"),
            ("licence", origin.carrier.licence),
        ]
    parts = [_lines(f"backbone {table.name}", facts), _rows(table, extractor, machine)]
    return "\n\n".join([*parts, *([_layers(cost, machine)] if layers else [])])


@functools.cache
def cost_of_backbone(
    name: str, size: int, bytes_per_value: int, weights: str | None = None
) -> NetworkCost:
    """The cost of a pretrained backbone or of a table with a 1000-way head."""
    _, table = _origin_and_table(name, weights)
    return network_cost(build(table), size, 1000, bytes_per_value)


def _origin_and_table(
    name: str, weights: str | None = None
) -> tuple[Pretrained | None, LayerTable]:
    if weights is not None:
        return None, backbones.load(name, weights).network.table
    own, _, forms = name.partition(SEPARATOR)
    if own not in PRETRAINED and own not in tables.TABLES:
        raise UnknownNameError("backbone", own, sorted({*PRETRAINED, *tables.TABLES}))
    origin = PRETRAINED.get(own)
    table = tables.table(origin.table if origin else own)
    return origin, with_forms(table, forms)


def _described(machine: Machine) -> str:
    return (
        f"{machine.name}: {machine.multiply_adds_per_second / 1e9:,.4g} thousand million "
        f"multiply-adds and {machine.bytes_per_second / 1e9:,.4g} GB a second, declared"
    )


_COSTS = ("parameters", "multiply-adds", "weights, kB", "memory, kB", "ms")


def _rows(table: LayerTable, cost: NetworkCost, machine: Machine) -> str:
    lines: list[Sequence[str]] = [
        ("row", "operation", "in", "k", "expanded", "out", "activation", "s", *_COSTS)
    ]
    below = set[str]()
    for path, row in table.all_rows():
        own = cost.below(path)
        below |= {layer.path for layer in own}
        cells = (row.inputs, row.kernel or "-", row.expanded or "-", row.outputs)
        numbers = (*map(str, cells), row.activation, str(row.stride))
        lines.append((path, row.operation, *numbers, *_figures(own, machine)))
    rest = [layer for layer in cost.layers if layer.path not in below]
    lines.append(("pooling", *[""] * 7, *_figures(rest, machine)))
    lines.append(("total", *[""] * 7, *_figures(cost.layers, machine)))
    return grid(lines, below=1)


def _layers(cost: NetworkCost, machine: Machine) -> str:
    lines: list[Sequence[str]] = [("layer", "kind", "output", *_COSTS, "limit")]
    for layer in cost.layers:
        output = " x ".join(map(str, layer.output))
        lines.append(
            (layer.path, layer.kind, output, *_figures([layer], machine), layer.limit(machine))
        )
    lines.append(("total", "", "", *_figures(cost.layers, machine), ""))
    return grid(lines, below=1)


def _figures(layers: Sequence[LayerCost], machine: Machine) -> tuple[str, ...]:
    """The cells of `_COSTS`; of memory the most, of all else the sum."""
    return (
        f"{sum(layer.parameters for layer in layers):,}",
        f"{sum(layer.multiply_adds for layer in layers):,}",
        f"{sum(layer.weight_bytes for layer in layers) / 1e3:,.1f}",
        f"{max((layer.live_bytes for layer in layers), default=0) / 1e3:,.1f}",
        f"{1e3 * sum(layer.seconds(machine) for layer in layers):.3f}",
    )


def describe_task(task: Task, data_dir: str | None) -> str:
    """What a task is, and how many images each split has. Fetches the images if need be."""
    sizes = [
        (split, f"{loading.task_size(task, split, data_dir):,} images") for split in task.splits
    ]
    low, high = task.expected
    return "\n".join(
        [
            _lines(
                f"task {task.name} {task.version}",
                [
                    *_predicted(task.made_head, task.labels, task.inputs, task.words),
                    ("metric", f"{task.metric}, expected {100 * low:.0f} to {100 * high:.0f} %"),
                    *sizes,
                ],
            ),
            "",
            inspect.cleandoc(task.description),
        ]
    )


def _predicted(
    head: Head,
    labels: Sequence[str],
    inputs: Mapping[str, tuple[int, ...]],
    words: Mapping[str, Words],
) -> list[tuple[str, str]]:
    """What a head says, and what it is said from beside an image."""
    wide = any(target.per == "output" for target in head.targets.values())
    read = ", ".join(f"{name} {list(shape)}" for name, shape in inputs.items())
    return [
        ("head", head.kind),
        ("labels" if wide else "classes", _shortened(labels)),
        *([("inputs", f"image, {read}")] if inputs else []),
        *(
            (name, _shortened([text for text in own if text != NOTHING]))
            for name, own in words.items()
        ),
    ]


def _listed(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _shortened(labels: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(labels[:most])
    return f"{len(labels)}: {shown}{', ...' if len(labels) > most else ''}"


def _lines(title: str, facts: Sequence[tuple[str, str]]) -> str:
    width = max(14, *(len(name) for name, _ in facts))
    return "\n".join([title, *(f"  {name:<{width}} {value}" for name, value in facts)])
