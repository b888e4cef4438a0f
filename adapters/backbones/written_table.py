"""A layer table as JSON, for weights whose network no registry has: those that a search made."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any

from adapters.backbones import rows
from adapters.backbones.rows import Row
from adapters.backbones.table import LayerTable
from adapters.errors import ModelPatchError
from adapters.shown import shown_value

_KINDS: Mapping[str, type[Row]] = {
    kind.__name__: kind
    for _, kind in inspect.getmembers(rows, inspect.isclass)
    if issubclass(kind, Row) and not inspect.isabstract(kind) and not kind.__name__.startswith("_")
}
_MOST_ROWS, _LARGEST = 1000, 2**20  # of a table; of a column: a file may say what it likes


class WrittenTableError(ModelPatchError):
    """A file's layer table is none that a network can be built from."""


def written(table: LayerTable) -> dict[str, Any]:
    """`table`, which has no neck, as JSON: each row's type and columns."""
    assert not table.neck
    return {
        "name": table.name,
        "rows": [{"type": type(row).__name__, **dataclasses.asdict(row)} for row in table.rows],
    }


def read(value: Any) -> LayerTable:
    """The table that `written` gave. Raises WrittenTableError for anything else."""
    if not isinstance(value, dict) or value.keys() != {"name", "rows"}:
        raise WrittenTableError("a layer table has a name and rows, and nothing else.")
    name, given = value["name"], value["rows"]
    if not isinstance(name, str) or not name:
        raise WrittenTableError(f"a layer table's name is a text, not {shown_value(name)}.")
    if not isinstance(given, list) or not 2 <= len(given) <= _MOST_ROWS:
        raise WrittenTableError(f"a layer table has from 2 to {_MOST_ROWS} rows.")
    found = tuple(_row(number, row) for number, row in enumerate(given))
    channels = 3
    for number, row in enumerate(found):
        if row.inputs != channels:
            raise WrittenTableError(
                f"row {number} takes {row.inputs} channels, and {channels} come to it."
            )
        channels = row.outputs
    return LayerTable(name, found)


def _row(number: int, value: Any) -> Row:
    kind = _KINDS.get(str(value.get("type"))) if isinstance(value, dict) else None
    if kind is None:
        raise WrittenTableError(f"row {number} is none of {', '.join(sorted(_KINDS))}.")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    columns = {name: column for name, column in value.items() if name != "type"}
    needed = {name for name, field in fields.items() if field.default is dataclasses.MISSING}
    if not needed <= columns.keys() <= fields.keys():
        raise WrittenTableError(
            f"row {number}, a {kind.__name__}, has the columns {', '.join(sorted(fields))}, not "
            f"{shown_value(sorted(columns))}."
        )
    for name, column in columns.items():
        wanted = fields[name].type
        whole = isinstance(column, int) and not isinstance(column, bool)
        fits = 0 <= column <= _LARGEST if wanted is int and whole else type(column) is wanted
        if not fits:
            raise WrittenTableError(f"row {number} has {name}={shown_value(column)}.")
    return kind(**columns)
