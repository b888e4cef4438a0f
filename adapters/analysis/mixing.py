"""Whether kernels that are mixed for each image are: collapse comes unseen in an accuracy.

Two ways to have no more than one kernel (arXiv 2105.03014 and its follow-ups): all images take one
basis, or all take the same mixture.
"""

import dataclasses

import numpy as np
import numpy.typing as npt

# Of entropy and of spread between images: below it, a layer has collapsed.
LEAST = 0.05


@dataclasses.dataclass(frozen=True)
class Mixing:
    """How one layer's kernel is mixed over many images.

    Attributes:
      entropy: mean over images of the mixture's entropy, in units of that of an even mix.
      spread: standard deviation between images of a basis's share, in the root of the mean square
        over bases, in units of the most there can be: each image its own basis, all alike often.
      shares: [N], each basis's mean share.
    """

    entropy: float
    spread: float
    shares: tuple[float, ...]

    @property
    def collapse(self) -> str:
        """What has collapsed, in words; empty where nothing has."""
        if len(self.shares) == 1:
            return ""
        if self.spread < LEAST and self.entropy < LEAST:
            return "all images of this task take one basis"
        if self.spread < LEAST:
            return "all images of this task take the same mixture"
        return ""


def mixing(mixtures: npt.NDArray[np.float32]) -> Mixing:
    """Describes the mixtures [images, N] of one layer, each of which sums to one.

    >>> mixing(np.full((8, 4), 0.25, np.float32)).collapse
    'all images of this task take the same mixture'
    """
    shares = mixtures.astype(np.float64)
    logarithms = np.log(np.where(shares > 0, shares, 1))
    entropies = -np.sum(shares * logarithms, axis=1)
    bases = shares.shape[1]
    most, widest = (np.log(bases), np.sqrt(bases - 1) / bases) if bases > 1 else (1.0, 1.0)
    return Mixing(
        float(entropies.mean() / most),
        float(np.sqrt(np.square(shares.std(axis=0)).mean()) / widest),
        tuple(map(float, shares.mean(axis=0))),
    )
