"""Searches one shared network for each task's own route through it, and trains what it finds.

    launch/search --tasks=pocket --backbone=mobilenet_v2 --budget=0.7 --steps=3000 --out=routes

Half of the steps search: every step tries a route a task, and a controller a task learns from how
well it does on images that are held out of training, and what it costs. The other half trains the
routes that were found, all in one network. Out come `backbone.safetensors`, the network of what any
route keeps, a patch a task that holds its route, and `routes.json` with each decision, what it
costs and what the routes share, drawn in `routes.png`. docs/search.md goes on from here.

    launch/search --tasks=pocket --routes=routes/routes.json --steps=3000 --out=trained

trains routes that were found once more, from the pretrained weights, and nothing else.

    launch/search --tasks=pocket --space=placement --budget=40000 --steps=3000 --out=placed

leaves the backbone frozen and finds, for each task, which layers to patch and with what, so that
its edits take 40,000 bytes.

Take routes where the backbone may be trained and tasks differ much. Where it must stay frozen and
bytes are few, learned gates (`launch/train --patch='spotpatch(scale_bias+lora)'`) were better than
short searches of a placement at every budget that was tried (docs/search.md); where bytes are not
few, train one patch everywhere.
"""

import shlex
import sys
from collections.abc import Sequence

from absl import app, flags

from adapters.analysis.roofline import MACHINES
from adapters.experiment import results
from adapters.experiment.search_settings import (
    ALGORITHMS,
    EACH,
    ONE,
    SPACES,
    SearchSettings,
)
from adapters.experiment.searching import search
from adapters.search.cost_names import MULTIPLY_ADDS
from launch import command, run_flags
from launch.flag_names import flag_of

_PATCH = run_flags.patch_flag()
_PATCH_RATE, _HEAD_RATE = run_flags.rate_flags()
flags.adopt_module_key_flags(run_flags)  # so that --help lists them

_OWN = SearchSettings()
_BUDGET = flags.DEFINE_float(
    "budget",
    _OWN.budget,
    "What a route may cost, as a share of the largest's cost; or a placement in bytes.",
)
_COST = flags.DEFINE_string(
    "cost",
    _OWN.cost,
    f"What a route costs: {MULTIPLY_ADDS}; or its time, on the roofline of a declared device "
    f"({', '.join(MACHINES)}, or 'machine(multiply_adds_per_second=310e9, "
    "bytes_per_second=10e9)'), or as `measured` here; or on several devices, 'mean(cpu+dsp)' or "
    "'worst(cpu+dsp)', each over the largest's time there.",
)
_LATENCIES = flags.DEFINE_string(
    "latencies", None, "The CSV file of `launch/benchmark --works=routes`, for --cost=measured."
)
_SPACE = flags.DEFINE_enum(
    "space",
    _OWN.space,
    SPACES,
    "What is searched: routes of everything that blocks may leave out, or of their channels alone; "
    "or where each task's patches stand on the frozen network.",
)
_SHARE = flags.DEFINE_float(
    "search_share", _OWN.search_share, "Of the steps that search; the rest trains what was found."
)
_REWARD = flags.DEFINE_string(
    "reward", _OWN.reward, "Of a route: absolute, soft or hard, with the weight of its cost."
)
_ALGORITHM = flags.DEFINE_enum(
    "algorithm",
    _OWN.algorithm,
    ALGORITHMS,
    "Who finds routes: a controller a task, evolution, or netadapt, one route for all; or nobody, "
    "as controls: random routes of the budget's cost, the largest for all, one width for all "
    "blocks, or no routes and the first half of the blocks shared.",
)
_ROUTES = flags.DEFINE_string(
    "routes", None, "A routes.json: train its routes alone, from the pretrained weights."
)
_CONTROLLERS = flags.DEFINE_enum(
    "controllers", _OWN.controllers, (EACH, ONE), "A controller a task, or one for all."
)
_WARM_UP = flags.DEFINE_float(
    "warm_up", _OWN.warm_up, "Share of the search in which controllers learn nothing; 0: none."
)
_RATE = flags.DEFINE_float("rate", _OWN.rate, "Of the controllers, when they begin to learn.")
_SHARING = flags.DEFINE_float(
    "sharing",
    _OWN.sharing,
    "Taken from every reward, times the share of the network that all routes use together.",
)
_STATISTICS = flags.DEFINE_enum(
    "statistics", _OWN.statistics, (EACH, ONE), "Norm statistics: a task's own, or one set for all."
)
_RESUME = flags.DEFINE_bool("resume", False, "Go on with the search in --out.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Delete the search in --out and start anew.")
_SEED = flags.DEFINE_integer("seed", 0, "The same seed gives the same bytes.")

# Where these are not given, a search has other defaults than a run.
_OTHERS = ("groups", "train_shared", "scheduler", "checkpoint", "norm")


def main(arguments: Sequence[str]) -> None:
    """Parses flags, searches, prints the table and what the routes share."""
    if len(arguments) > 1:
        raise app.UsageError(f"arguments without a flag: {' '.join(arguments[1:])}")
    if not run_flags.TASKS.value:
        raise app.UsageError("name what to search routes for: --tasks=pocket, say.")
    values = run_flags.values() | {
        "patch": _PATCH.value,
        "seed": _SEED.value,
        "patch_rate": _PATCH_RATE.value,
        "head_rate": _HEAD_RATE.value,
    }
    shared_rate = flags.FLAGS[flag_of("shared_rate")]
    values["shared_rate"] = shared_rate.value if shared_rate.present else None
    values |= {name: None for name in _OTHERS if not flags.FLAGS[flag_of(name)].present}
    found = search(
        run_flags.TASKS.value,
        search=SearchSettings(
            _BUDGET.value,
            _SHARE.value,
            _REWARD.value,
            _RATE.value,
            _ALGORITHM.value,
            _ROUTES.value,
            _CONTROLLERS.value,
            _WARM_UP.value,
            _SPACE.value,
            _COST.value,
            _LATENCIES.value,
            _SHARING.value,
            _STATISTICS.value,
        ),
        directory=run_flags.OUT.value,
        resume=_RESUME.value,
        overwrite=_OVERWRITE.value,
        command=shlex.join(["launch/search", *sys.argv[1:]]),
        **values,
    )
    print(results.summary(found.rows))
    print(f"\n{found.told}\nEverything is in {run_flags.OUT.value}/.")


if __name__ == "__main__":
    command.run(main)
