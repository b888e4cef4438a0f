"""Which tasks a step trains: fixed shares from the tasks' sizes."""

import numpy as np

from adapters.scheduling.contract import Sampling, SchedulingError, Tasks


def uniform() -> Sampling:
    """Every task alike, whatever its size."""
    return lambda tasks: _shares(np.ones(len(_sizes(tasks))))


def proportional() -> Sampling:
    """Tasks by their number of training images."""
    return lambda tasks: _shares(_sizes(tasks))


def temperature(tau: float = 3.0) -> Sampling:
    """Tasks by size to the power 1/tau: tau 1 is proportional, large tau uniform.

    Used since multilingual BERT (Devlin et al., 2018) and T5 (Raffel et al., arXiv 1910.10683,
    section 3.5.2).
    """
    if not tau > 0:
        raise SchedulingError(f"the sampling temperature has tau={tau}: it must be above 0.")
    return lambda tasks: _shares(_sizes(tasks) ** (1 / tau))


def unimax(repeats: float = 50.0) -> Sampling:
    """As alike as can be while no image is trained on more than `repeats` times.

    Chung et al., "UniMax: Fairer and More Effective Language Sampling for Large-Scale Multilingual
    Pretraining", arXiv 2304.09151, algorithm 1: from the smallest task on, each takes an equal
    share of what is left of the run, or `repeats` times its images if that is less. They found 1
    best for text; augmented images bear more, and 50 is our choice.

    Raises SchedulingError for `repeats` not above 0, and where the whole run trains on more than
    every image so often.
    """
    if not repeats > 0:
        raise SchedulingError(f"unimax has repeats={repeats}: it must be above 0.")

    def shares(tasks: Tasks) -> np.ndarray:
        sizes = _sizes(tasks)
        most = repeats * sizes.sum()
        if tasks.images > most:
            raise SchedulingError(
                f"the run trains on {tasks.images} images, and unimax with repeats={repeats:g} "
                f"allows {most:.0f} of these tasks: take fewer steps or more repeats.",
                settings=["steps", "sampling"],
            )
        left, served = float(tasks.images), np.zeros(len(sizes))
        smallest_first = np.argsort(sizes, kind="stable")
        for place, task in enumerate(smallest_first):
            served[task] = min(left / (len(sizes) - place), repeats * sizes[task])
            left -= served[task]
        return _shares(served)

    return shares


def _sizes(tasks: Tasks) -> np.ndarray:
    if not tasks.sizes or min(tasks.sizes) < 1:
        raise SchedulingError(
            f"every task needs a training example; their numbers: {list(tasks.sizes)}."
        )
    return np.asarray(tasks.sizes, np.float64)


def _shares(wanted: np.ndarray) -> np.ndarray:
    return wanted / wanted.sum()
