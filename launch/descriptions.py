"""Patch files, backbones and tasks in words and figures."""

import inspect
import math
from collections import Counter
from collections.abc import Iterable, Sequence

from adapters.backbones import registry as tables
from adapters.backbones.builder import count_parameters, expected_shapes
from adapters.backbones.pretrained import PRETRAINED
from adapters.errors import UnknownNameError
from adapters.store.contents import PatchContents
from adapters.store.write import patch_size
from tasks import loading
from tasks.task import Task


def describe_patch(contents: PatchContents) -> str:
    """The card of a patch, and where its bytes go."""
    size = patch_size(contents)
    scores = ", ".join(f"{split} {100 * s:.2f} %" for split, s in contents.scores.items())
    layers = Counter(
        f"{kind} {leaf}"
        for kind, modules in contents.edits.items()
        for leaves in modules.values()
        for leaf in leaves
    )
    edited = ", ".join(f"{leaf} in {count} modules" for leaf, count in sorted(layers.items()))
    return _lines(
        f"patch {contents.patch} of task {contents.task} {contents.task_version}",
        [
            ("backbone", f"{contents.backbone}, fingerprint {contents.fingerprint[:16]}"),
            ("norm", contents.norm),
            (contents.metric, scores),
            ("classes", _shortened(contents.labels)),
            ("preprocessing", ", ".join(f"{k} {v}" for k, v in contents.preprocessing.items())),
            ("edits", edited or "none: the head alone"),
            ("bytes", f"{size.total:,}"),
            *(
                (f"  {part}", f"{getattr(size, part):,}")
                for part in ("edits", "statistics", "head", "header")
            ),
        ],
    )


def describe_backbone(name: str) -> str:
    """The layer table, row by row, with its parameters; and the weights' provenance."""
    if name not in PRETRAINED and name not in tables.TABLES:
        raise UnknownNameError("backbone", name, [*PRETRAINED, *tables.TABLES])
    origin = PRETRAINED.get(name)
    table = tables.table(origin.table if origin else name)
    shapes = expected_shapes(table)
    facts = [
        ("features", f"{table.features}"),
        ("parameters", f"{count_parameters(table):,} in the extractor"),
        ("", f"{count_parameters(table, 1000):,} with a 1000-way head"),
        ("", f"{count_parameters(table, 1000, statistics=True):,} with norm statistics too"),
    ]
    if origin:
        facts += [
            ("weights", origin.about),
            ("carrier", f"{origin.carrier.package} {origin.carrier.version}"),
            ("licence", origin.carrier.licence),
        ]
    rows: list[tuple[str, ...]] = [
        ("row", "operation", "in", "k", "expanded", "out", "activation", "s", "parameters")
    ]
    for path, row in table.named_rows():
        owned = sum(
            math.prod(shape)
            for module, leaves in shapes.items()
            if module == path or module.startswith(f"{path}/")
            for leaf, shape in leaves.items()
            if leaf not in ("mean", "var")
        )
        cells = (row.operation, row.inputs, row.kernel, row.expanded or "-", row.outputs)
        rows.append((path, *map(str, cells), row.activation, str(row.stride), f"{owned:,}"))
    return "\n".join([_lines(f"backbone {table.name}", facts), "", *_columns(rows)])


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
                    ("classes", _shortened(task.labels)),
                    ("metric", f"{task.metric}, expected {100 * low:.0f} to {100 * high:.0f} %"),
                    *sizes,
                ],
            ),
            "",
            inspect.cleandoc(task.description),
        ]
    )


def _shortened(labels: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(labels[:most])
    return f"{len(labels)}: {shown}{', ...' if len(labels) > most else ''}"


def _lines(title: str, facts: Iterable[tuple[str, str]]) -> str:
    return "\n".join([title, *(f"  {name:<14} {value}" for name, value in facts)])


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
