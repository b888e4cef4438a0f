"""The last norms, modulated by a small vector that comes with an image: a place, say.

Mac Aodha, Cole, Perona, "Presence-Only Geographical Priors for Fine-Grained Image Classification",
arXiv 1906.05272, is why a place helps; to write it into the last norms of a frozen backbone is our
reconstruction: see `adapters.patches.modulation`. On MobileNetV2 1.0: 37,136 values.
"""

from adapters.modules import kind_of, network_of, running_order
from adapters.patches.contract import Need, Patch, Weights
from adapters.patches.modulation import modulation
from adapters.patches.naming import named
from adapters.patches.settings import PatchSettingError, check_setting


@named
def conditional(reads: str = "place", size: int = 3, hidden: int = 4, norms: int = 6) -> Patch:
    """Each task owns a network from an input to the scales and offsets of the last norms.

    It comes last in a chain.

    Args:
      reads: name of the input.
      size: numbers in it.
      hidden: units of the network.
      norms: how many of the backbone's last norms are modulated.

    Raises PatchSettingError; so does `init` for weights with fewer norms.
    """
    check_setting("reads", reads, reads.isidentifier() and reads != "image", "an input's name")
    check_setting("size", size, 1 <= size <= 4096, "from 1 to 4096")
    check_setting("hidden", hidden, hidden >= 1, "1 or more")
    check_setting("norms", norms, norms >= 1, "1 or more")

    def modulated(weights: Weights) -> list[str]:
        found = [
            path
            for path, leaves in weights.items()
            if kind_of(leaves) == "norm" and not network_of(path)
        ]
        if len(found) < norms:
            raise PatchSettingError(
                f"conditional(norms={norms}) modulates more norms than the {len(found)} there are."
            )
        return sorted(found, key=running_order)[-norms:]

    return modulation("conditional", Need(reads, (size,)), hidden, size**-0.5, modulated)
