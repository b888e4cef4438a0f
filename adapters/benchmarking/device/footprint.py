"""What a device has to hold: memory, in a process that does nothing else, and files."""

import pathlib
import sys
from collections.abc import Mapping, Sequence

from adapters.benchmarking.device import make, names, plan
from adapters.benchmarking.interleave import Worker
from adapters.benchmarking.measure import Settings
from adapters.benchmarking.plan import Comparison, Contender
from adapters.benchmarking.row import row
from adapters.training.tidy import Measurement

FILES = {
    "backbone in LiteRT": names.LITERT,
    "backbone in LiteRT int8": names.LITERT_INT8,
    "backbone in ONNX": names.ONNX,
    "backbone in JAX": names.JAX,
    "task in LiteRT": names.LITERT_FUSED,
    "task in ONNX": names.ONNX_FUSED,
    "patch as plain inputs": names.inputs(0),
    **{f"patch as {encoding}": names.encoded(encoding) for encoding in make.ENCODINGS},
}


def memory(comparison: Comparison, settings: Settings, module: str) -> list[Measurement]:
    """Rows of each contender, and how many times the last one's memory the first one takes.

    Args:
      comparison: of contenders that differ in their number of tasks.
      settings: of the run.
      module: of the process that a contender gets.
    """
    backbone, command = comparison.case.backbone, settings.command
    rows, whole = [], {}
    for one in comparison.contenders:
        with Worker(sys.executable, module, {}) as worker:
            facts = worker.prepare(one.case)
        whole[one] = facts["resident memory"]
        setting = _setting(comparison, one, settings)
        for metric in ("resident memory", "memory beside imports"):
            rows.append(row(backbone, setting, metric, int(facts[metric]), "bytes", command))
    first, *_, last = comparison.contenders
    times, setting = whole[first] / whole[last], _setting(comparison, first, settings)
    return [*rows, row(backbone, setting, f"over {last.label}", times, "times", command)]


def keys(comparison: Comparison, settings: Settings) -> set[tuple[str, str, str]]:
    """The (backbone, patch, setting) that the rows of `memory` will bear."""
    return {
        (comparison.case.backbone, "", _setting(comparison, one, settings))
        for one in comparison.contenders
    }


def sizes(
    backbone: str,
    size: int,
    given: Mapping[str, Sequence[pathlib.Path]],
    settings: Settings,
    head: str = "",
) -> list[Measurement]:
    """Rows of the bytes of {label: files}; of one patch, where all are alike."""
    return [
        row(
            backbone,
            f"{plan.named('size', head)}, {label}, {size} px",
            "size",
            sum(path.stat().st_size for path in paths),
            "bytes",
            settings.command,
        )
        for label, paths in given.items()
    ]


def files(folder: pathlib.Path) -> dict[str, list[pathlib.Path]]:
    """{what a device may be given: its files} of those that `make` has written to a folder."""
    return {label: [folder / name] for label, name in FILES.items()}


def _setting(comparison: Comparison, one: Contender, settings: Settings) -> str:
    shape = f"{one.case.size} px, batch {one.case.examples}, {settings.machine}"
    return f"{comparison.work}, {one.label}, {shape}"
