"""The tensors' names in a file: `edit/KIND/MODULE PATH/LEAF`, `head/w` and `head/b`, and
`head/NAME/w` and `head/NAME/b` of auxiliary predictions.

`scale/NAME` holds what the whole numbers of the tensor NAME are multiplied by.
"""

import re
from collections.abc import Mapping
from typing import TypeVar

from adapters.store.errors import SchemaError, shown

SCALE = "scale/"
_EDIT, _HEAD = "edit", "head"
_LEAF = re.compile(r"[A-Za-z0-9_.~-]+")
# Parts with one `/` between them, not split: a hostile path has some hundred thousand.
_MODULE = re.compile(r"(?!/)(?!.*//)[A-Za-z0-9_.~/-]+(?<!/)")

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
            kind, module, leaf = place(name)
            check_path(module, leaf)
            edits.setdefault(kind, {}).setdefault(module, {})[leaf] = item
        else:
            raise SchemaError(f"the tensor {shown(name)} is neither an edit nor the head's")
    return edits, head


def place(name: str) -> tuple[str, str, str]:
    """Kind, module and leaf of an edit's tensor."""
    _, kind, rest = name.split("/", 2)
    module, _, leaf = rest.rpartition("/")
    return kind, module, leaf


def is_edit(name: str) -> bool:
    """Whether a tensor is an edit's."""
    return name.startswith(f"{_EDIT}/")


def check_path(module: str, leaf: str) -> None:
    """Raises SchemaError unless a module path and a leaf can be read back out of `module/leaf`."""
    if not _MODULE.fullmatch(module) or not _LEAF.fullmatch(leaf):
        raise SchemaError(f"{shown(module + '/' + leaf)} is not a module path and a leaf")
