"""The first layer of a network that reads words: a row for each number of its input.

Rows are learned, each for itself. Or they are what a learned matrix makes of a frozen encoder's
vector for the text that a number stands for, so that texts which mean about the same have about the
same row, and those that training never said have one too; a number without a text (`left`, say)
learns its own. A file holds the rows in either case, and neither matrix nor vectors.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.patches.contract import PatchParams

TEXTS = "texts"
"""The leaf of `PatchParams.fixed` that holds the vectors of texts, [numbers, WIDTH]; 0: no text."""

WIDTH = 384  # of the encoder's vectors
_OF_TEXTS = "of_texts"


class Embeddings(NamedTuple):
    """The layer at `path`.

    Attributes:
      path: of the module in a file.
      numbers: of the input.
      hidden: numbers in a row.
      spread: standard deviation of what a row is made of, at the start.
      of_texts: whether rows are made of texts' vectors.
    """

    path: str
    numbers: int
    hidden: int
    spread: float
    of_texts: bool

    def init(self, key: jax.Array) -> tuple[dict[str, Any], Any]:
        """The trained and the fixed part of `PatchParams`; texts are put in afterwards."""
        drawn = jax.random.normal(key, (self.numbers, self.hidden), jnp.float32) * self.spread
        trained: dict[str, Any] = {self.path: {"w": drawn, "b": jnp.zeros(self.hidden)}}
        if not self.of_texts:
            return trained, ()
        again = jax.random.fold_in(key, 1)
        matrix = jax.random.normal(again, (WIDTH, self.hidden), jnp.float32) * self.spread
        trained[f"{self.path}/{_OF_TEXTS}"] = {"w": matrix}
        return trained, {TEXTS: jnp.zeros((self.numbers, WIDTH), jnp.float32)}

    def modules(self, params: PatchParams) -> Mapping[str, Any]:
        """All modules that a file holds: what is trained, with the rows as they have become."""
        if not self.of_texts:
            return params.trained
        matrix, texts = f"{self.path}/{_OF_TEXTS}", params.fixed[TEXTS]
        own = {path: leaves for path, leaves in params.trained.items() if path != matrix}
        said = jnp.any(texts != 0, axis=-1, keepdims=True)
        rows = jnp.where(said, texts @ params.trained[matrix]["w"], own[self.path]["w"])
        return {**own, self.path: {**own[self.path], "w": rows}}

    def rates(self) -> dict[str, float]:
        """Of its modules, as `Patch.rates` has them."""
        learned = {self.path: 1.0}
        return {**learned, f"{self.path}/{_OF_TEXTS}": 1.0} if self.of_texts else learned
