"""Patch files in another encoding."""

import dataclasses
from collections.abc import Mapping

from adapters.experiment import evaluation, scoring
from adapters.heads.registry import head_of
from adapters.inference.compiled import Weights, parity_vector
from adapters.store.contents import PatchContents
from adapters.store.edits import apply_edits
from adapters.store.encoding import rounded
from adapters.store.kinds import Array
from adapters.store.write import patch_size
from adapters.training import tidy
from tasks import loading
from tasks.task import Task


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A patch in another encoding, and what that did: scores on validation, sizes in bytes."""

    contents: PatchContents
    before: float
    after: float
    bytes_before: int
    bytes_after: int


def encoded(
    path: str,
    encoding: str,
    weights: str | None,
    data_dir: str | None,
    task: Task | None = None,
    version: str | None = None,
) -> Encoded:
    """The patch file at `path` in another encoding.

    `task` and `version` are by default what the file says. Raises what `evaluation.evaluate`
    raises, and EncodingError for a number that the encoding cannot hold.
    """
    opened = evaluation.open_patch(path, "validation", task, weights, data_dir=data_dir)
    contents = opened.contents
    held = loading.contents(opened.task, "validation", data_dir)
    edits, head = rounded(contents.edits, contents.head, encoding)
    kind = head_of(contents)

    def score(patched: Weights, head: Mapping[str, Array]) -> float:
        answers = scoring.predict(
            *(opened.network, patched, head, kind, opened.task, "validation"),
            *(opened.preprocessing, data_dir, contents.inputs),
        )
        return scoring.score(kind, len(contents.labels), answers)

    exact = apply_edits(opened.backbone.weights, contents.edits)
    patched = apply_edits(opened.backbone.weights, edits)
    after = score(patched, head)
    made = dataclasses.replace(
        contents,
        task_version=version or contents.task_version,
        edits=edits,
        head=head,
        encoding=encoding,
        scores={"validation": after},
        data={**contents.data, "validation": held.digest},
        parity=parity_vector(
            opened.network,
            opened.backbone.weights,
            edits,
            head,
            contents.preprocessing,
            contents.inputs,
            kind.apply,
        ),
    )
    return Encoded(
        made,
        score(exact, contents.head),
        after,
        patch_size(contents).total,
        patch_size(made).total,
    )


def rows(one: Encoded, seed: int, typed: str) -> list[tidy.Measurement]:
    """The figures of one file, of a run with this seed, `typed` being the command."""
    score = f"validation {one.contents.metric}"
    figures = [
        (score, one.after, "fraction"),
        (f"{score} lost to encoding", one.before - one.after, "fraction"),
        ("patch", one.bytes_after, "bytes"),
        ("patch before", one.bytes_before, "bytes"),
    ]
    contents = one.contents
    return [
        tidy.Measurement(
            task=contents.task,
            backbone=contents.backbone,
            patch=contents.patch,
            setting=contents.encoding,
            seed=seed,
            split="validation" if unit == "fraction" else "",
            metric=metric,
            value=value,
            unit=unit,
            command=typed,
        )
        for metric, value, unit in figures
    ]
