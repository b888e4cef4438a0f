"""`routes.json`: what routes decide, cost and share, by task and by node."""

import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adapters.backbones.builder import count_parameters, expected_shapes
from adapters.backbones.table import LayerTable
from adapters.errors import ModelPatchError
from adapters.modules import block_of
from adapters.search.blocks import BlockSpace, Form, largest
from adapters.search.costs import Costs, RouteCosts
from adapters.search.cropped import cropped_table, kept_blocks
from adapters.search.space import Space
from adapters.search.union import union
from adapters.shown import listed, shown
from adapters.vocabulary import STATISTICS

ROUTES, NODES = "routes.json", "nodes.txt"
_LARGEST_FILE = 2**24  # bytes


class RouteFileError(ModelPatchError):
    """A file of routes that cannot be read, or of another network or other tasks."""


def described(
    space: BlockSpace,
    multiply_adds: Costs,
    routes: Mapping[str, np.ndarray],
    cost: str,
    costs: RouteCosts,
) -> dict[str, Any]:
    """What `routes`, by task, decide, cost and share, as JSON.

    `cost` names what the routes were held to, and `costs` has it, both beside the `multiply_adds`.
    `bundle` is what one network a task would have; `shared` the one that holds all routes, and
    `nodes` its blocks, each with what every task that takes it keeps of it.
    """

    def size(chosen: np.ndarray) -> int:
        return count_parameters(cropped_table(space, chosen, "route"))

    def mean_share(costs: RouteCosts) -> float:
        return sum(map(costs.exact, routes.values())) / len(routes) / costs.exact(largest(space))

    tasks = {
        name: {
            "multiply_adds": multiply_adds.exact(chosen),
            "share of cost": costs.exact(chosen) / costs.exact(largest(space)),
            "parameters": size(chosen),
            "decisions": space.space.named(chosen),
        }
        for name, chosen in routes.items()
    }
    bundle = sum(map(size, routes.values()))
    shared = size(union(space, list(routes.values())))
    return {
        "table": space.table.name,
        "largest": {
            "multiply_adds": multiply_adds.exact(largest(space)),
            "parameters": size(largest(space)),
        },
        "shared": {"parameters": shared, "share of the bundle": shared / bundle},
        "bundle": {"parameters": bundle},
        "mean share of multiply_adds": mean_share(multiply_adds),
        "cost": {"of": cost, "mean share": mean_share(costs)},
        "tasks": tasks,
        "nodes": _nodes(space, routes),
    }


def read(path: str | os.PathLike[str], space: BlockSpace, names: Sequence[str]) -> np.ndarray:
    """The routes [T, D] of the tasks `names`, out of a file that a search wrote.

    Raises RouteFileError where it cannot be read, is of another layer table, or lacks a task.
    """
    record = opened(path)
    table, tasks = record["table"], record["tasks"]
    decided = {name: tasks[name]["decisions"] for name in names if name in tasks}
    if table != space.table.name:
        raise RouteFileError(
            f"{path} has routes through {shown(str(table))}, and the network is {space.table.name}."
        )
    if missing := [name for name in names if name not in decided]:
        raise RouteFileError(
            f"{path} has no route of {listed(missing)}, only of {listed([*tasks])}."
        )
    try:
        return np.stack([_route(space.space, decided[name]) for name in names])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RouteFileError(
            f"{path} decides what is no decision of {space.table.name}: {shown(str(error))}."
        ) from error


def opened(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `described` gave, out of a file. Raises RouteFileError where it cannot be read."""
    try:
        if (size := pathlib.Path(path).stat().st_size) > _LARGEST_FILE:
            raise RouteFileError(f"{path} has {size} bytes: no file of routes has.")
        record = json.loads(pathlib.Path(path).read_bytes())
        valid = _is_record(record)
    except OSError as error:
        raise RouteFileError(f"{path} cannot be opened: {error.strerror or error}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RouteFileError(f"{path} is no file of routes that a search wrote.") from error
    if not valid:
        raise RouteFileError(f"{path} is no file of routes that a search wrote.")
    return record


def in_words(record: Mapping[str, Any]) -> str:
    """The nodes of a record, and what its routes share and cost."""
    return (
        f"{node_table(record)}\n\n"
        f"The routes share {100 * record['shared']['share of the bundle']:.0f} % of the "
        f"parameters that as many networks of their own would have, and take "
        f"{100 * record['mean share of multiply_adds']:.0f} % of the largest's multiply-adds, "
        f"{100 * record['cost']['mean share']:.0f} % of its cost by {shown(record['cost']['of'])}."
    )


def _is_record(record: Any) -> bool:
    """Whether JSON has what is read of a record; where it is of other kinds, this may raise."""
    tasks, nodes = record["tasks"], record["nodes"]
    figures = (
        record["shared"]["share of the bundle"],
        record["mean share of multiply_adds"],
        record["cost"]["mean share"],
        *(node["parameters"] for node in nodes.values()),
    )
    return (
        isinstance(record["table"], str)
        and isinstance(record["cost"]["of"], str)
        and all(isinstance(own["decisions"], dict) for own in tasks.values())
        and all(isinstance(figure, int | float) for figure in figures)
        and all(node["tasks"] for node in nodes.values())
        and all(isinstance(kept, str) for node in nodes.values() for kept in node["tasks"].values())
    )


def node_table(record: Mapping[str, Any]) -> str:
    """The nodes of a record as text: a line a block, a column a task."""
    names = list(record["tasks"])
    lines = [["block", "parameters", "tasks", *map(shown, names)]]
    for block, node in record["nodes"].items():
        kept = node["tasks"]
        lines.append(
            [
                *(shown(block), f"{node['parameters']:,}", str(len(kept))),
                *(shown(kept.get(name, "-")) for name in names),
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _nodes(space: BlockSpace, routes: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """{block of the largest network: its parameters in the shared one, and who keeps what}."""
    whole = union(space, list(routes.values()))
    table = cropped_table(space, whole, "union")
    olds = [block for block, _ in kept_blocks(space, whole)]
    sizes = _parameters(table)
    found = {}
    for (new, _), block in zip(table.named_rows(), olds, strict=True):
        kept = {}
        for name, chosen in routes.items():
            if block not in space.places:
                kept[name] = "whole"
                continue
            form = space.form(block, chosen)
            if form.skipped:
                continue
            kept[name] = _words(space, block, form)
        found[block] = {"parameters": sizes[new], "tasks": kept}
    return found


def _words(space: BlockSpace, block: str, form: Form) -> str:
    """What is left of a block that stays."""
    words = [f"{form.start_kernel}x{form.start_kernel} before"] if form.start_kernel else []
    words += [f"{form.kernel}x{form.kernel}"] if form.kernel else []
    words.append(f"{form.expanded} inside")
    if getattr(space.row(block), "squeezed", 0):
        words.append("se" if form.squeezes else "no se")
    return ", ".join(words)


def _parameters(table: LayerTable) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for path, leaves in expected_shapes(table).items():
        own = sum(int(np.prod(shape)) for name, shape in leaves.items() if name not in STATISTICS)
        sizes[block_of(path)] = sizes.get(block_of(path), 0) + own
    return sizes


def _route(space: Space, decided: Mapping[str, str]) -> np.ndarray:
    """The route of named options; what is not decided hangs on another decision, and is 0."""
    strangers = decided.keys() - {decision.name for decision in space.decisions}
    if strangers:
        raise KeyError(", ".join(sorted(strangers)))
    found = np.array(
        [
            decision.options.index(decided[decision.name]) if decision.name in decided else 0
            for decision in space.decisions
        ],
        np.int32,
    )
    if space.named(found) != dict(decided):
        raise KeyError("it leaves out decisions that its others ask for")
    return found
