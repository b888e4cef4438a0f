"""The tensors' names in a file: `edit/KIND/MODULE PATH/LEAF`, `head/w` and `head/b`."""

from collections.abc import Mapping
from typing import TypeVar

from adapters.store.contents import check_path
from adapters.store.errors import SchemaError

_EDIT, _HEAD = "edit", "head"

Item = TypeVar("Item")
Nested = dict[str, dict[str, dict[str, Item]]]


def flatten(
    edits: Mapping[str, Mapping[str, Mapping[str, Item]]], head: Mapping[str, Item]
) -> dict[str, Item]:
    """`{name: item}` in the order of the names, which is the file's."""
    named = {f"{_HEAD}/{leaf}": item for leaf, item in head.items()}
    for kind, modules in edits.items():
        for module, leaves in modules.items():
            for leaf, item in leaves.items():
                named[f"{_EDIT}/{kind}/{module}/{leaf}"] = item
    return dict(sorted(named.items()))


def unflatten(named: Mapping[str, Item]) -> tuple[Nested[Item], dict[str, Item]]:
    """The edits and the head that `flatten` made `named` of; SchemaError for any other name."""
    edits: Nested[Item] = {}
    head: dict[str, Item] = {}
    for name, item in named.items():
        section, _, rest = name.partition("/")
        if section == _HEAD:
            head[rest] = item
        elif section == _EDIT and rest.count("/") >= 2:
            kind, _, place = rest.partition("/")
            module, _, leaf = place.rpartition("/")
            check_path(module, leaf)
            edits.setdefault(kind, {}).setdefault(module, {})[leaf] = item
        else:
            raise SchemaError(f"the tensor {name!r} is neither an edit nor the head's")
    return edits, head
