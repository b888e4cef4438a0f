"""What scheduling rules are told of a step, and which shared leaves they compare tasks by."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp

from adapters.backbones.sites import sites
from adapters.backbones.table import LayerTable
from adapters.patches.contract import Weights
from adapters.scheduling.contract import ACCURACIES, NORMS, Scheduling, SchedulingError, Signals
from adapters.training.tables import membership
from adapters.vocabulary import KERNEL


def told_apart(scheduling: Scheduling, shared: Weights, table: LayerTable) -> Weights:
    """The trained shared leaves whose gradients a step has to tell apart by task.

    All of them where gradients are combined; the kernel of the last layer that is trained where
    only their lengths are wanted, as Chen et al. (arXiv 1711.02257) do to save time.
    """
    if scheduling.combine is not None:
        return shared
    if NORMS not in scheduling.weighting.reads:
        return {}
    kernels = [site.path for site in sites(table) if KERNEL in shared.get(site.path, {})]
    if not kernels:
        raise SchedulingError(
            "the scheduler compares gradients at the last shared layer that is trained, and no "
            "layer is."
        )
    return {kernels[-1]: {KERNEL: shared[kernels[-1]][KERNEL]}}


def signals(
    scheduling: Scheduling,
    tasks: jax.Array,
    total: int,
    losses: jax.Array,
    figures: Mapping[str, jax.Array],
    products: jax.Array,
) -> Signals:
    """What a step's groups say of each task.

    Args:
      scheduling: who reads it.
      tasks: [G] int32, the task of each group.
      total: T, of all tasks.
      losses: [G], unweighted.
      figures: what heads tell beside them, [G] each.
      products: of the tasks' gradients, [T, T].

    Raises SchedulingError where accuracies are read and the heads tell none.
    """
    if ACCURACIES in scheduling.weighting.reads and "accuracy" not in figures:
        raise SchedulingError(
            "the scheduler goes by how accurate each task is in training, which only classifiers "
            "tell: take one that goes by losses, such as uncertainty or dynamic_weight_average.",
            settings=["scheduler"],
        )
    of_tasks = membership(tasks, total)
    counts = jnp.sum(of_tasks, axis=1)
    shares = of_tasks / jnp.maximum(counts, 1)[:, None]
    lengths = jnp.sqrt(jnp.diagonal(products)) * tasks.size / jnp.maximum(counts, 1)
    return Signals(
        counts > 0,
        shares @ losses,
        shares @ figures.get("accuracy", jnp.zeros_like(losses)),
        lengths,
    )
