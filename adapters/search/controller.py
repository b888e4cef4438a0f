"""Who chooses routes: logits for every decision of every domain, learned by REINFORCE.

Wang et al., "Multi-path Neural Networks for On-device Multi-domain Visual Classification" (WACV
2021), give each domain a controller of its own. Each is that of TuNAS (Bender et al., arXiv
2008.06120, and its code): independent categorical decisions; the log-probability of those that are
asked alone; a moving average of rewards as baseline. Ours: an average for each domain, since what
is an easy reward in one is a hard one in another, and advantages divided by their averaged
deviation for the same reason.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from adapters.search.space import Space

REMEMBERED = 0.95  # of a baseline, from one reward of a domain to the next
DECAY, ROUNDING = 0.999, 1e-8  # of Adam's second moment; the first has no memory, as in TuNAS


class State(NamedTuple):
    """What a controller has learned, of each of C domains.

    Attributes:
      logits: [C, D, options], minus infinity where a decision has fewer options.
      squares: Adam's second moments, of the same shape.
      baseline, deviation: [C], averages of rewards and of their distance to it, both begun at 0.
      seen: [C], rewards.
    """

    logits: jax.Array
    squares: jax.Array
    baseline: jax.Array
    deviation: jax.Array
    seen: jax.Array


def init(space: Space, domains: int) -> State:
    """Every option as probable as every other."""
    options = np.arange(space.widths.max()) < space.widths[:, None]
    logits = np.where(options, np.float32(0), np.float32(-np.inf))
    shape = (domains, *logits.shape)
    none = jnp.zeros(domains, jnp.float32)
    return State(jnp.broadcast_to(logits, shape), jnp.zeros(shape), none, none, none)


def probabilities(state: State) -> jax.Array:
    """Of each option, [C, D, options]."""
    return jax.nn.softmax(state.logits, axis=-1)


def sample(state: State, key: jax.Array) -> jax.Array:
    """A route for each domain, [C, D] int32."""
    return jax.random.categorical(key, state.logits, axis=-1).astype(jnp.int32)


def most_probable(state: State) -> jax.Array:
    """The route of the most probable options for each domain, [C, D] int32."""
    return jnp.argmax(state.logits, axis=-1).astype(jnp.int32)


def log_probability(space: Space, state: State, routes: jax.Array) -> jax.Array:
    """Of routes [..., C, D], of the decisions that are asked: [..., C]."""
    chances = jax.nn.log_softmax(state.logits, axis=-1)
    chances = jnp.broadcast_to(chances, (*routes.shape, chances.shape[-1]))
    chosen = jnp.take_along_axis(chances, routes[..., None], axis=-1)[..., 0]
    return jnp.sum(jnp.where(space.active(routes), chosen, 0), axis=-1)


def update(
    space: Space,
    state: State,
    domains: jax.Array,
    routes: jax.Array,
    rewards: jax.Array,
    rate: jax.Array | float,
) -> State:
    """Makes routes that were rewarded above a domain's baseline more probable there.

    Args:
      space: of the routes.
      state: before.
      domains: [N] int32, which domain each route was tried in; one route a domain.
      routes: [N, D] int32.
      rewards: [N] float32.
      rate: of learning; 0 moves the baselines alone.
    """
    seen = state.seen[domains]
    old, spread = state.baseline[domains], state.deviation[domains]
    share = jnp.where(seen > 0, 1 - REMEMBERED**seen, 1)  # of an average that begins at 0
    distance = jnp.where(seen > 0, rewards - old / share, 0)
    spread = REMEMBERED * spread + (1 - REMEMBERED) * jnp.abs(distance)
    advantages = distance / jnp.maximum(spread / share, 1e-6)

    def loss(logits: jax.Array) -> jax.Array:
        own = state._replace(logits=logits[domains])
        return -jnp.sum(advantages * log_probability(space, own, routes))

    known = jnp.isfinite(state.logits)
    slopes = jnp.where(known, jax.grad(loss)(jnp.where(known, state.logits, -1e9)), 0)
    counts = state.seen.at[domains].add(1)
    here = (counts > state.seen)[:, None, None]
    squares = jnp.where(here, DECAY * state.squares + (1 - DECAY) * slopes**2, state.squares)
    unbiased = squares / (1 - DECAY ** jnp.maximum(counts, 1))[:, None, None]
    step = rate * slopes / (jnp.sqrt(unbiased) + ROUNDING)
    return State(
        jnp.where(here & known, state.logits - step, state.logits),
        squares,
        state.baseline.at[domains].set(REMEMBERED * old + (1 - REMEMBERED) * rewards),
        state.deviation.at[domains].set(spread),
        counts,
    )
