"""Spaces: counting, what is asked, and what is refused."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from adapters.search.space import Decision, Space, SpaceError, Unless

SKIP = Decision("skip", ("keep", "skip"))
KERNEL = Decision("kernel", ("3", "5", "7"), Unless(0, 1))
WIDTH = Decision("width", ("half", "whole"), Unless(0, 1))
STEM = Decision("stem", ("3", "5"))
SPACE = Space((SKIP, KERNEL, WIDTH, STEM))


def every_route(space):
    return [np.array(route) for route in itertools.product(*map(range, space.widths))]


def test_routes_are_counted_as_they_differ():
    """Beside every combination, void decisions struck out."""
    seen = {tuple(sorted(SPACE.named(route).items())) for route in every_route(SPACE)}
    assert SPACE.count() == len(seen) == (3 * 2 + 1) * 2


def test_void_decisions_are_not_asked():
    routes = jnp.asarray([[1, 2, 1, 0], [0, 2, 1, 0]])
    np.testing.assert_array_equal(
        SPACE.active(routes), [[True, False, False, True], [True, True, True, True]]
    )
    assert SPACE.named(np.array([1, 2, 1, 0])) == {"skip": "skip", "stem": "3"}


def test_mnasnets_factorised_space_is_that_of_one_block_to_the_power_of_blocks():
    """Tan et al., arXiv 1807.11626: 432 options of a block, five blocks, 10^13 networks."""
    options = {
        "operation": 3,
        "kernel": 2,
        "squeeze_excite": 2,
        "skip": 3,
        "filters": 3,
        "layers": 4,
    }
    block = [(name, tuple(map(str, range(number)))) for name, number in options.items()]
    whole = Space([Decision(f"{b} {name}", named) for b in range(5) for name, named in block])
    assert Space([Decision(*each) for each in block]).count() == 432
    assert whole.count() == 432**5


@pytest.mark.parametrize(
    ("decisions", "said"),
    [
        ((), "needs decisions"),
        ((STEM, STEM), "own name"),
        ((Decision("stem", ("3",)),), "no choice"),
        ((KERNEL, SKIP), "hang on a decision before it"),
        ((SKIP, KERNEL, Decision("gate", ("on", "off"), Unless(1, 0))), "hangs on none"),
    ],
)
def test_what_is_no_space_is_refused(decisions, said):
    with pytest.raises(SpaceError, match=said):
        Space(decisions)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (np.array([0, 3, 0, 0]), "kernel has the options 0 to 2, not 3"),
        (np.array([0, 0, 0]), "has 4 whole numbers"),
        (np.zeros(4), "whole numbers, not float64"),
    ],
)
def test_routes_of_another_space_are_refused(route, said):
    with pytest.raises(SpaceError, match=said):
        SPACE.named(route)
