"""modelpatch: one frozen MobileNet, one tiny patch file per task.

    fitted = adapters.fit("pocket", patch=adapters.scale_bias(), steps=300)
    fitted.save("out")
    adapters.load("out/digits.patch").predict(images)

Public names load what they need when they are first used: `import adapters` alone loads nothing.
This package shares its import name with an unrelated distribution on PyPI (`adapters`, for
language models); `MARK` lets `tasks` and `launch` notice when that one was found instead.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what `__getattr__` gives, for editors and type checkers
    from adapters.experiment.comparing import compare as compare
    from adapters.experiment.evaluating import evaluate as evaluate
    from adapters.experiment.exports import export_backbone as export_backbone
    from adapters.experiment.exports import export_task as export_task
    from adapters.experiment.fitting import Fitted as Fitted
    from adapters.experiment.fitting import fit as fit
    from adapters.experiment.predictions import Prediction as Prediction
    from adapters.experiment.predictor import Predictor as Predictor
    from adapters.experiment.predictor import load as load
    from adapters.experiment.reporting import report as report
    from adapters.patches.basisnet import basisnet as basisnet
    from adapters.patches.bias import bias as bias
    from adapters.patches.coefficients import coefficients as coefficients
    from adapters.patches.combine import chain as chain
    from adapters.patches.combine import select as select
    from adapters.patches.conditional import conditional as conditional
    from adapters.patches.contract import Patch as Patch
    from adapters.patches.contract import PatchParams as PatchParams
    from adapters.patches.conv_adapter import conv_adapter as conv_adapter
    from adapters.patches.delta import delta as delta
    from adapters.patches.depthwise import depthwise as depthwise
    from adapters.patches.film import film as film
    from adapters.patches.full import full as full
    from adapters.patches.head_only import head_only as head_only
    from adapters.patches.last import last as last
    from adapters.patches.lora import lora as lora
    from adapters.patches.mask import mask as mask
    from adapters.patches.parallel_adapter import parallel_adapter as parallel_adapter
    from adapters.patches.query_modulation import query_modulation as query_modulation
    from adapters.patches.random_gates import random_gates as random_gates
    from adapters.patches.scale_bias import scale_bias as scale_bias
    from adapters.patches.spotpatch import spotpatch as spotpatch
    from adapters.runtime.device import Device as Device
    from adapters.training.cluster import cluster as cluster
    from tasks.task import Task as Task

MARK = "modelpatch"
__version__ = "0.2.0"

_VERBS = {
    "Device": "adapters.runtime.device",
    "Fitted": "adapters.experiment.fitting",
    "Patch": "adapters.patches.contract",
    "PatchParams": "adapters.patches.contract",
    "Prediction": "adapters.experiment.predictions",
    "Predictor": "adapters.experiment.predictor",
    "Task": "tasks.task",
    "chain": "adapters.patches.combine",
    "cluster": "adapters.training.cluster",
    "compare": "adapters.experiment.comparing",
    "evaluate": "adapters.experiment.evaluating",
    "export_backbone": "adapters.experiment.exports",
    "export_task": "adapters.experiment.exports",
    "fit": "adapters.experiment.fitting",
    "load": "adapters.experiment.predictor",
    "report": "adapters.experiment.reporting",
    "select": "adapters.patches.combine",
}
_PATCHES = (
    *("basisnet", "bias", "coefficients", "conditional", "conv_adapter", "delta", "depthwise"),
    *("film", "full", "head_only", "last", "lora", "mask", "parallel_adapter"),
    *("query_modulation", "random_gates", "scale_bias", "spotpatch"),
)
_HOMES = _VERBS | {name: f"adapters.patches.{name}" for name in _PATCHES}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'adapters' has no attribute {name!r}")
    found = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = found  # so that this is asked once
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
