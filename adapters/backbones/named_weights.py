"""Weights by the name that they are published under, through the client of whoever publishes them.

`hf:REPOSITORY` or `hf:REPOSITORY@REVISION` of Hugging Face's hub; `torchvision:NAME`.
What comes is kept in the cache with its SHA-256: later calls read that, need no client and no
network, and refuse it when it is no longer what was fetched. It is opened as data alone.
"""

import hashlib
import importlib
import json
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from absl import logging

from adapters import files
from adapters.backbones.conventions import KERAS, TORCH, Conventions
from adapters.errors import ModelPatchError

PIN = "pin.json"
CONFIG = "config.json"
_FILES = ("model.safetensors", "pytorch_model.bin")


class NamedWeightsError(ModelPatchError):
    """Weights that cannot be had by their name."""

    settings = ("weights",)


class ClientMissingError(NamedWeightsError):
    """The package is not installed that fetches weights of this name."""


class PinError(NamedWeightsError):
    """Weights in the cache are not those that were fetched."""


class Fetched(NamedTuple):
    """Weights on this machine.

    Attributes:
      path: of the file.
      conventions: how their network was trained to be run; None where nothing says so.
    """

    path: pathlib.Path
    conventions: Conventions | None


def is_name(weights: str | os.PathLike[str]) -> bool:
    """Whether a text is a name of weights rather than a path."""
    return isinstance(weights, str) and weights.partition(":")[0] in _CLIENTS


def fetched(name: str) -> Fetched:
    """The weights of this name, from the cache or through their publisher's client.

    Raises ClientMissingError, PinError, NotWrittenError, and NamedWeightsError with what the client
    said: there is no network, or nothing of that name.
    """
    kind, _, rest = name.partition(":")
    folder = _folder(name)
    if not folder.is_dir():
        with files.new_directory(folder) as new:
            _CLIENTS[kind](rest, new)
            found = {path.name: _sha256(path) for path in sorted(new.iterdir())}
            (new / PIN).write_text(json.dumps({"name": name, "sha256": found}, indent=1) + "\n")
    pins = _pins(folder)
    for file, wanted in pins.items():
        if not (folder / file).is_file() or _sha256(folder / file) != wanted:
            raise PinError(
                f"{folder / file} is not what was fetched as {name}, whose sha256 is {wanted}: "
                f"delete {folder} to fetch it anew."
            )
    (weights,) = set(pins) - {CONFIG}
    logging.info("%s is %s, sha256 %s", name, weights, pins[weights])
    return Fetched(folder / weights, _conventions(folder / CONFIG))


def _folder(name: str) -> pathlib.Path:
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", name)[:80]
    own = f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    return files.cache_directory() / "weights" / "named" / own


def _pins(folder: pathlib.Path) -> Mapping[str, str]:
    try:
        return json.loads((folder / PIN).read_text())["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PinError(
            f"{folder} does not say what it holds: delete it, to fetch it anew."
        ) from error


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hub(place: str, folder: pathlib.Path) -> None:
    repository, _, revision = place.partition("@")
    hub = _client("huggingface_hub", "hf:")
    try:
        there = hub.list_repo_files(repository, revision=revision or None)
        wanted = [file for file in _FILES if file in there][:1]
        if not wanted:
            raise NamedWeightsError(
                f"hf:{place} holds no {' or '.join(_FILES)}; it has {', '.join(there[:8])}. "
                "Fetch what you need of it yourself, and give the file."
            )
        wanted += [file for file in (CONFIG,) if file in there]
        for file in wanted:
            kept = hub.hf_hub_download(repository, file, revision=revision or None)
            (folder / file).write_bytes(pathlib.Path(kept).read_bytes())
    except NamedWeightsError:
        raise
    except Exception as error:  # of many kinds: no network, no such repository, no access
        raise _not_had(f"hf:{place}", error) from error


def _from_torchvision(name: str, folder: pathlib.Path) -> None:
    vision, torch = _client("torchvision", "torchvision:"), _client("torch.hub", "torchvision:")
    try:
        url = vision.models.get_weight(name).url
        file = url.rpartition("/")[2]
        # The first digits of its sha256 are in its name, and torch.hub compares them.
        prefix = re.search(r"-([0-9a-f]{8,})\.", file)
        torch.download_url_to_file(url, str(folder / file), prefix and prefix[1], progress=False)
    except Exception as error:  # as above
        raise _not_had(f"torchvision:{name}", error) from error


_CLIENTS: dict[str, Callable[[str, pathlib.Path], None]] = {
    "hf": _from_hub,
    "torchvision": _from_torchvision,
}


def _client(module: str, prefix: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ClientMissingError(
            f"weights by a name {prefix} need the package {package}, which this installation "
            f"lacks: pip install {package}, or give a file."
        ) from error


def _not_had(name: str, error: Exception) -> NamedWeightsError:
    said = str(error).strip().splitlines() or [""]
    return NamedWeightsError(
        f"{name} cannot be fetched ({type(error).__name__}: {said[0]}). Check the name; the first "
        "time its publisher has to be reachable, and from then on the cache has it. Or give a file."
    )


def _conventions(config: pathlib.Path) -> Conventions | None:
    """What timm's configuration says: mean and deviation, and by its name how layers are padded."""
    try:
        record = json.loads(config.read_text())
        known = {**record, **record.get("pretrained_cfg", {})}
        base = KERAS if str(known["architecture"]).startswith("tf_") else TORCH
        mean, std = (
            tuple(round(255 * float(value), 4) for value in known[field])
            for field in ("mean", "std")
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if len(mean) != 3 or len(std) != 3 or not min(std) > 0:
        return None
    return base._replace(mean=mean, std=std)
