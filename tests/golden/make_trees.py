"""Writes `trees/NAME.json` for every layer table: its weights' names, shapes and bytes.

Patch files, checkpoints and fingerprints name these leaves; a change of a tree breaks them. Run
  python -m tests.golden.make_trees
and look at what changed before committing it.
"""

import json
import math
import pathlib
from typing import Any

import jax

from adapters.backbones.builder import build
from adapters.backbones.registry import TABLES, table

FOLDER = pathlib.Path(__file__).parent / "trees"


def main() -> None:
    """Writes every tree, and removes those of tables that are no more."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.json"):
        path.unlink()
    for name in TABLES:
        (FOLDER / f"{name}.json").write_text(text(tree(name)))


def tree(name: str) -> dict[str, Any]:
    """{"bytes": of all leaves, "leaves": {path/leaf: dtype and shape}}."""
    weights = jax.eval_shape(build(table(name)).init, jax.random.key(0))
    leaves = {
        f"{path}/{leaf}": value for path, named in weights.items() for leaf, value in named.items()
    }
    return {
        "bytes": sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves.values()),
        "leaves": {
            path: f"{leaf.dtype} {list(leaf.shape)}" for path, leaf in sorted(leaves.items())
        },
    }


def text(tree: dict[str, Any]) -> str:
    """One leaf a line."""
    return json.dumps(tree, indent=0) + "\n"


if __name__ == "__main__":
    main()
