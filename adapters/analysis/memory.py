"""Which activations are in memory while each step runs.

The schedule is the simplest that a device can have: steps in the order they are written, one at a
time and never in stripes; a step's inputs and its output are whole, and none is overwritten in
place; an activation stays until its last reader has run. So inside a residual block the block's
input counts until it is added. Memory that a step needs for itself alone (a convolution's unfolded
windows, say) does not count, nor do weights, which can stay where they are stored.
"""

import math

from adapters.analysis.tracing import Trace


def live_elements(trace: Trace) -> tuple[int, ...]:
    """Elements of all activations that exist during each step."""
    last = dict.fromkeys(trace.shapes, 0)
    for index, step in enumerate(trace.steps):
        last.update(dict.fromkeys((*step.reads, *step.writes), index))
    last.update(dict.fromkeys(trace.results, len(trace.steps)))
    live, during = {0}, []
    for index, step in enumerate(trace.steps):
        live.update(step.writes)
        during.append(sum(math.prod(trace.shapes[number]) for number in live))
        live = {number for number in live if last[number] > index}
    return tuple(during)
