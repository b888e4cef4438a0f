"""Scores a patch file as a running server answers for it, beside JAX."""

import concurrent.futures
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

import numpy as np

from adapters.errors import ModelPatchError
from adapters.experiment import evaluation
from adapters.experiment.graph_evaluation import Comparison, beside_jax
from adapters.heads.contract import Arrays
from adapters.heads.linear import LOGITS

AT_ONCE = 8  # requests, so that the server has something to batch
SECONDS = 60


class AskedServerError(ModelPatchError):
    """A server that does not answer, or not for this patch's task and classes."""


def compare_served(
    path: str,
    server: str,
    split: str,
    task_name: str | None,
    weights: str | None,
    data_dir: str | None,
) -> Comparison:
    """Asks a server about every image file of a split, and JAX with the patch file at `path`.

    `server` is `host:port`, or an address that begins with http:// or https://.

    Raises AskedServerError, and what `evaluation.evaluate` does.
    """
    patch = evaluation.open_patch(path, split, task_name, weights, data_dir=data_dir)
    contents = patch.contents
    if contents.head_kind != "classification" or contents.inputs:
        raise AskedServerError(
            f"{path} is no classifier of images alone, and only those are compared with a server.",
            settings=["server"],
        )
    address = server if "://" in server else f"http://{server}"
    query = urllib.parse.urlencode({"top": len(contents.labels)})
    place = f"{address.rstrip('/')}/tasks/{urllib.parse.quote(contents.task, safe='')}?{query}"

    def one(file: bytes) -> list[float]:
        said = {row["label"]: row["logit"] for row in _answers(place, file)}
        if set(said) != set(contents.labels):
            raise AskedServerError(f"the server's {contents.task} has other classes than {path}.")
        return [said[label] for label in contents.labels]

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as clients:

        def ask(files: Sequence[bytes]) -> Arrays:
            return {LOGITS: np.array(list(clients.map(one, files)), np.float32)}

        return beside_jax(patch, "server", ask, split, data_dir)


def _answers(place: str, file: bytes) -> Any:
    """What it says of an image file. Raises AskedServerError."""
    kind = {"Content-Type": "application/octet-stream"}
    request = urllib.request.Request(place, file, kind, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as response:
            return json.load(response)["answers"]
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(4096).decode("utf-8", "replace").strip()
        raise AskedServerError(f"{place} refuses an image with {error.code}: {said}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AskedServerError(
            f"{place} does not answer as a server of patches: {error}. Give the address of one, "
            "host:port.",
            settings=["server"],
        ) from error
