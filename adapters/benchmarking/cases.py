"""What is timed: plain data that our side and a peer's, in another Python, both understand."""

import dataclasses
from typing import Literal

Work = Literal[
    "inference",
    "block",
    "row",
    "finish",
    "training",
    "processes",
    "forward",
    "swap",
    "input",
    "graph",
    "warm swap",
    "cold swap",
    "memory",
]

Precision = Literal["float32", "tf32", "bfloat16"]
Platform = Literal["cpu", "gpu"]

CLASSES = 10  # of every task
DEVICE_CLASSES = 20  # of tasks on exported graphs, and of heads beside them
SMOOTHING = 0.1  # of labels
HEAD_DECAY = 1e-4
RATE = 1e-4  # small, so that steps on random labels keep all values ordinary
PIXELS = 127.5  # mean and deviation that the network expects removed


@dataclasses.dataclass(frozen=True)
class Case:
    """One piece of work at one shape.

    Attributes:
      work: `inference` is the network with one task's head; `block` one block of it, `row` one row
        that a route may leave of it, on a map of `size`; `finish` the
        network after a first look at its images, with what that gave for each; `training` one
        whole step from uint8 pixels to moved parameters; `processes` the same step by processes of
        their own, with one device each; `forward` a mixed-task batch without
        gradients; `swap` reading and applying a patch file; `input` batches of training images,
        from files to pixels. The others are of exported graphs: see `adapters.benchmarking.device`.
      backbone: name of a layer table.
      size: side of the images, in pixels.
      examples: images in one run of the work.
      patch: what is trained or swapped, as `launch/train --patch` spells it.
      groups: into how many groups of one task the images are parted; for `input`, into how many
        batches.
      tasks: how many tasks have tables; group g belongs to task g % tasks.
      rule: in training, by which shared weights are trained too: a scheduler, or a way to combine
        gradients, of `adapters.scheduling.registry`.
      processes: how many do the work together.
      precision: `float32`; on GPUs `tf32` too, float32 whose products are rounded; in training and
        mixed batches `bfloat16` too, of the frozen network alone (a peer's automatic mixed
        precision).
      platform: what does the work.
      steps: how many steps of training one run has; the last alone is waited for.
      native: whether C++ code computes gradients in our training.
      compiled: whether a peer compiles its network first.
      block: which one, `block_03`, say.
      row: which one, as `adapters.search.latencies.row_text` has it.
      head: of the network's tasks, as a task spells it; "": a classifier's.
      graph: which exported graph, a key of `adapters.benchmarking.device.engines.ENGINES`.
      folder: where `adapters.benchmarking.device.make` has put it.
    """

    work: Work
    backbone: str
    size: int
    examples: int
    patch: str = ""
    groups: int = 1
    tasks: int = 1
    rule: str = ""
    processes: int = 1
    precision: Precision = "float32"
    platform: Platform = "cpu"
    steps: int = 1
    native: bool = False
    compiled: bool = False
    block: str = ""
    row: str = ""
    head: str = ""
    graph: str = ""
    folder: str = ""
