"""A patch as the very inputs of an exported graph, for programs that read no patch files.

A safetensors file: every input of the graph but the images, by its name, float32. Its one metadata
value, canonical JSON, has `task`, `labels`, `preprocessing`, `backbone` and `fingerprint`, and as
`parity` the logits that it must give for a seeded image (`adapters.store.parity`). Where the head
is no classifier's, `head` has its `kind` and `settings`, which say how logits become an answer
(`adapters.heads`). No other of a patch file's checks is left in it: whoever loads it has to trust
where it came from.
"""

import dataclasses
import json
import os
from collections.abc import Mapping

import safetensors.numpy

from adapters import files
from adapters.heads.filling import filled
from adapters.heads.registry import head_of
from adapters.runtime import signatures
from adapters.runtime.channels import Array
from adapters.store.contents import PatchContents

KEY = "modelpatch"


def write_inputs(
    path: str | os.PathLike[str],
    contents: PatchContents,
    inputs: Mapping[str, Array],
    outputs: int | None = None,
) -> None:
    """Writes what a graph takes for one task: `inputs`, as `patch_inputs` gave them, and its head.

    Where a graph's head has so many `outputs`, those beyond the task's own are of zeros and predict
    them. Auxiliary heads are left out.

    Raises NotWrittenError.
    """
    outputs = len(contents.labels) if outputs is None else outputs
    leaves = filled(head_of(contents), contents.head, outputs, filling=0)
    head = {signatures.HEAD + leaf: values for leaf, values in leaves.items()}
    text = json.dumps(about(contents), sort_keys=True, separators=(",", ":"))
    files.write_bytes(path, safetensors.numpy.save({**inputs, **head}, metadata={KEY: text}))


def about(contents: PatchContents) -> dict[str, object]:
    """What a program has to know of a task beside numbers, for JSON."""
    head = {"kind": contents.head_kind, "settings": dict(contents.head_settings)}
    return {
        "task": contents.task,
        "labels": list(contents.labels),
        "preprocessing": contents.preprocessing,
        "backbone": contents.backbone,
        "fingerprint": contents.fingerprint,
        "parity": dataclasses.asdict(contents.parity),
        **({} if contents.head_kind == "classification" else {"head": head}),
    }
