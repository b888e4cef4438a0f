"""What `launch/benchmark_device` measures of one network, and what is compared with what."""

import dataclasses
from collections.abc import Iterator, Sequence

from adapters.benchmarking.cases import Case
from adapters.benchmarking.device import names
from adapters.benchmarking.plan import Comparison, Contender

WARM = ("LiteRT inputs", "LiteRT folded", "ONNX Runtime inputs")
COLD = (
    "LiteRT inputs",
    "LiteRT folded",
    "LiteRT fused",
    "ONNX Runtime inputs",
    "ONNX Runtime fused",
    "Device.install inputs",
    "Device.install folded",
)
HOLDERS = (
    "LiteRT inputs",
    "LiteRT inputs int8",
    "LiteRT folded",
    "LiteRT fused",
    "ONNX Runtime inputs",
    "ONNX Runtime fused",
)


def graphs(
    backbone: str, size: int, batches: Sequence[int], folder: str, head: str = ""
) -> Iterator[Comparison]:
    """Each graph that takes patches as inputs, against all others, JAX and, of classifiers,
    PyTorch.
    """
    for batch in batches:
        case = Case("graph", backbone, size, batch, folder=folder, head=head)
        network = Case("inference", backbone, size, batch, head=head)
        peers = (
            Contender("eager", "peer", network),
            Contender("compiled", "peer", dataclasses.replace(network, compiled=True)),
        )
        ours = {name: _ours(name, dataclasses.replace(case, graph=name)) for name in HOLDERS}
        yield Comparison(
            named("graph", head),
            (
                ours["LiteRT inputs"],
                *(ours[name] for name in HOLDERS[1:]),
                Contender("JAX", "jax", network),
                *(() if head else peers),
            ),
        )
        yield Comparison(
            named("ONNX graph", head), (ours["ONNX Runtime inputs"], ours["ONNX Runtime fused"])
        )


def swaps(backbone: str, size: int, folder: str, head: str = "") -> Iterator[Comparison]:
    """An answer of another task than the last one's, and of one just taken from its files, against
    an answer of the same task again; and all ways to take a task from its files.
    """
    case = Case("warm swap", backbone, size, 1, tasks=2, folder=folder, head=head)
    for name in WARM:
        another = dataclasses.replace(case, graph=name)
        same = dataclasses.replace(another, tasks=1)
        yield Comparison(
            named("answer", head),
            (
                _ours(f"{name} another task", another),
                _ours(f"{name} same task", same),
            ),
            beyond=named(f"{name} warm swap", head),
        )
        taken = dataclasses.replace(another, work="cold swap")
        yield Comparison(
            named("first answer", head),
            (
                _ours(f"{name} from files", taken),
                _ours(f"{name} same task", same),
            ),
            beyond=named(f"{name} cold swap", head),
        )
    case = Case("cold swap", backbone, size, 1, tasks=2, folder=folder, head=head)
    yield Comparison(
        named("cold swap", head),
        tuple(_ours(name, dataclasses.replace(case, graph=name)) for name in COLD),
    )


def memories(
    backbone: str, size: int, tasks: int, folder: str, head: str = ""
) -> Iterator[Comparison]:
    """Each way to hold so many tasks, and one; a process is needed for each."""
    for name in HOLDERS:
        case = Case("memory", backbone, size, 1, tasks=tasks, graph=name, folder=folder, head=head)
        one = dataclasses.replace(case, tasks=1)
        yield Comparison(
            named("memory", head),
            (_ours(f"{name} {tasks} tasks", case), _ours(f"{name} 1 task", one)),
            timed=False,
        )


def kinds(backbone: str, size: int, folder: str) -> Comparison:
    """Tasks of several kinds on one graph, and each on its own: all of them, or one of a kind."""
    case = Case("memory", backbone, size, 1, tasks=len(names.TASKS), folder=folder)
    apart = dataclasses.replace(case, graph="LiteRT a graph each")
    least = len(names.KINDS)
    return Comparison(
        "memory",
        (
            _ours(
                f"LiteRT one graph for kinds {case.tasks} tasks",
                dataclasses.replace(case, graph="LiteRT one graph for kinds"),
            ),
            _ours(f"LiteRT a graph each {case.tasks} tasks", apart),
            _ours(f"LiteRT a graph each {least} tasks", dataclasses.replace(apart, tasks=least)),
        ),
        timed=False,
    )


def named(work: str, head: str) -> str:
    """How results call the work with tasks of a head."""
    return f"{work} of {head}" if head else work


def _ours(label: str, case: Case) -> Contender:
    return Contender(label, "ours", case)
