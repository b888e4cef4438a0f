"""What `launch/benchmark` measures: each comparison, and what it is compared with."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal

from adapters.backbones import registry
from adapters.backbones.table import LayerTable
from adapters.benchmarking.cases import Case, Platform, Precision, Work
from adapters.modules import numbered_blocks
from adapters.scheduling.registry import COMBINES, WEIGHTINGS
from adapters.search.blocks import BlockSpace, block_space, width_space
from adapters.search.costs import rows_left
from adapters.search.latencies import row_text

Side = Literal["ours", "jax", "peer", "first start", "second start"]

MIXED_TASKS = 8
RULED_TASKS = 10
PLAIN = "unit"
INPUT_BATCHES = 16  # more than is read ahead
STEPS: Mapping[Platform, int] = {"cpu": 1, "gpu": 10}
"""Steps that a device is given before the last is waited for; a GPU idles between two that are."""


@dataclasses.dataclass(frozen=True)
class Contender:
    """One way to do a comparison's work.

    Attributes:
      label: how results call it; the peer's name goes before it.
      side: the process that runs it; `jax` is our side where `ours` is what devices have. A
        `start` is a process of its own, the second with the compiled programs that the first left.
      case: what is run.
    """

    label: str
    side: Side
    case: Case


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Contenders timed in turn; the first is measured against each of the others.

    Attributes:
      work: how results call it.
      contenders: at least one.
      timed: whether runs are repeated; otherwise only the first one's facts count.
      beyond: what the first contender does beyond the second, whose time is measured as well.
    """

    work: str
    contenders: tuple[Contender, ...]
    timed: bool = True
    beyond: str | None = None

    @property
    def case(self) -> Case:
        """The first contender's."""
        return self.contenders[0].case


def comparisons(
    backbones: Iterable[str],
    sizes: Iterable[int],
    batches: Iterable[int],
    patches: Sequence[str],
    works: Iterable[str],
    precisions: Iterable[Precision] = ("float32",),
    platform: Platform = "cpu",
) -> Iterator[Comparison]:
    """Every comparison of `works` (keys of `WORKS`) with each backbone at each shape, once.

    Args:
      backbones: names of layer tables.
      sizes: of images, in pixels.
      batches: images in a batch.
      patches: whose training steps and mixed batches are timed.
      works: in this order.
      precisions: of what a GPU computes; works that are of none of them are done once.
      platform: what does the work.
    """
    networks = (
        Case("inference", backbone, size, batch, precision=precision, platform=platform)
        for backbone, size, batch, precision in itertools.product(
            backbones, sizes, batches, precisions
        )
    )
    planned = (
        WORKS[work](network if work in PRECISE else _exact(network), patches)
        for network in networks
        for work in works
        if (work, network.precision) != ("inference", "bfloat16")  # patches answer in float32
    )
    yield from dict.fromkeys(itertools.chain.from_iterable(planned))


def _inference(network: Case, _: Sequence[str]) -> Iterator[Comparison]:
    yield Comparison("inference", _beside_peers(network))


def _blocks(network: Case, _: Sequence[str]) -> Iterator[Comparison]:
    rows = dict(registry.table(network.backbone).named_rows())
    for name in numbered_blocks(rows):  # the others are not modules of the peer's
        case = dataclasses.replace(network, work="block", block=name)
        sides = (Contender("ours", "ours", case), Contender("eager", "peer", case))
        yield Comparison(f"inference of {name}", sides)


def _routes(
    space: Callable[[LayerTable], BlockSpace], network: Case, _: Sequence[str]
) -> Iterator[Comparison]:
    """Every row that a route through `space` may leave of a network, alone."""
    table = registry.table(network.backbone)
    for row, side in rows_left(space(table), network.size):
        text = row_text(row)
        case = dataclasses.replace(network, work="row", size=side, row=text)
        yield Comparison(text, (Contender("ours", "ours", case),))


def _training(network: Case, patches: Sequence[str]) -> Iterator[Comparison]:
    for patch in patches:
        steps = STEPS[network.platform]
        step = dataclasses.replace(network, work="training", patch=patch, steps=steps)
        yield Comparison("training step", _beside_peers(step))


def _native_training(network: Case, patches: Sequence[str]) -> Iterator[Comparison]:
    for patch in patches:
        step = dataclasses.replace(network, work="training", patch=patch)
        native = Contender("native gradients", "ours", dataclasses.replace(step, native=True))
        xla, *peers = _beside_peers(step)
        sides = (native, dataclasses.replace(xla, label="XLA's"), *peers)
        yield Comparison("training step with native gradients", sides)


def _mixed(network: Case, patches: Sequence[str]) -> Iterator[Comparison]:
    mixes: dict[Work, str] = {"training": "mixed training step", "forward": "mixed inference"}
    for patch, (work, name) in itertools.product(patches, mixes.items()):
        one = dataclasses.replace(network, work=work, patch=patch)
        mixed = dataclasses.replace(one, groups=MIXED_TASKS, tasks=MIXED_TASKS)
        flat = dataclasses.replace(one, groups=network.examples, tasks=MIXED_TASKS)
        for order, case in (("in groups", mixed), ("in any order", flat)):
            tasks = Contender(f"{MIXED_TASKS} tasks", "ours", case)
            yield Comparison(f"{name} {order}", (tasks, Contender("one task", "ours", one)))


def _rules(network: Case, patches: Sequence[str]) -> Iterator[Comparison]:
    """A step that trains shared weights, plain and by every rule that weighs or combines."""
    examples = RULED_TASKS * max(network.examples // RULED_TASKS, 1)
    for patch in patches:
        step = dataclasses.replace(
            network,
            work="training",
            examples=examples,
            patch=patch,
            groups=RULED_TASKS,
            tasks=RULED_TASKS,
        )
        rules = [PLAIN, *(rule for rule in (*WEIGHTINGS, *COMBINES) if rule not in (PLAIN, "sum"))]
        sides = (Contender(rule, "ours", dataclasses.replace(step, rule=rule)) for rule in rules)
        yield Comparison(f"shared training step of {RULED_TASKS} tasks", tuple(sides))


def _processes(network: Case, patches: Sequence[str]) -> Iterator[Comparison]:
    for patch in patches:
        step = dataclasses.replace(network, work="processes", patch=patch, groups=2, tasks=2)
        two = dataclasses.replace(step, processes=2)
        sides = (Contender("two processes", "ours", two), Contender("one process", "ours", step))
        yield Comparison("step by processes", sides)


def _synthesis(network: Case, patches: Sequence[str]) -> Iterator[Comparison]:
    for patch in patches:
        mixed = dataclasses.replace(network, work="finish", patch=patch)
        kernels = Contender("a kernel an image", "ours", mixed)
        yield Comparison("synthesis", (kernels, Contender("one kernel", "ours", network)))


def _start(network: Case, _: Sequence[str]) -> Iterator[Comparison]:
    start = dataclasses.replace(network, work="training", patch="scale_bias")
    yield Comparison(
        "start",
        (
            Contender("empty cache", "first start", start),
            Contender("kept cache", "second start", start),
        ),
        timed=False,
    )


def _swap(network: Case, _: Sequence[str]) -> Iterator[Comparison]:
    swap = dataclasses.replace(network, work="swap", patch="scale_bias", examples=1)
    yield Comparison("patch swap", (Contender("ours", "ours", swap),))


def _input(network: Case, _: Sequence[str]) -> Iterator[Comparison]:
    images = dataclasses.replace(
        network, work="input", examples=network.examples * INPUT_BATCHES, groups=INPUT_BATCHES
    )
    yield Comparison("input pipeline", (Contender("ours", "ours", images),))


WORKS: Mapping[str, Callable[[Case, Sequence[str]], Iterator[Comparison]]] = {
    "inference": _inference,
    "blocks": _blocks,
    "routes": functools.partial(_routes, block_space),
    "widths": functools.partial(_routes, width_space),
    "training": _training,
    "native_training": _native_training,
    "mixed": _mixed,
    "rules": _rules,
    "processes": _processes,
    "synthesis": _synthesis,
    "start": _start,
    "swap": _swap,
    "input": _input,
}

PRECISE = ("inference", "training", "mixed")
"""The works that are done in every precision asked for."""


def _exact(network: Case) -> Case:
    return dataclasses.replace(network, precision="float32")


def _beside_peers(case: Case) -> tuple[Contender, ...]:
    compiled = dataclasses.replace(case, compiled=True)
    return (
        Contender("ours", "ours", case),
        Contender("eager", "peer", case),
        Contender("compiled", "peer", compiled),
    )
