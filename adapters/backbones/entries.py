"""Finding a network among all that a file holds: in dictionaries, and behind prefixes of names.

Training scripts wrap a network's tensors as they please: in `model`, `state_dict` or `net`, as
`module.` or `_orig_mod.`, with averages of the weights beside them. No list of such habits is ever
complete. So the file is searched for the first tensor of the network, wherever it lies, and what
stands before its name is what was wrapped around the whole.
"""

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from absl import logging

from adapters import errors
from adapters.backbones.conversion_error import ConversionError
from adapters.backbones.naming.naming import Naming
from adapters.backbones.stored import Tensor, Tree, tables
from adapters.backbones.table import LayerTable
from adapters.shown import listed, shown

# Modules that PyTorch puts around others: DataParallel, torch.compile, FSDP, checkpointing.
_WRAPPER = r"(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\."
_AVERAGED = re.compile(
    r"(?<![a-z])(ema|swa|avg|averaged?|averages|averaging|shadow)(?![a-z])", re.IGNORECASE
)
_MOST = 64  # networks side by side
_COUNT = "n_averaged"  # of torch.optim.swa_utils.AveragedModel, beside what it averages


class EntryNeededError(errors.ModelPatchError):
    """A file holds several networks of one layer table, or none of the name that was given."""


@dataclasses.dataclass(frozen=True, eq=False)
class Entry:
    """One network in a file.

    Attributes:
      name: what it is wrapped in, with dots between; empty where it is not.
      naming: whose names its tensors have.
      averaged: whether these are averages of the weights over many steps.
      tensors: by the names that the naming knows.
      beside: names of other tensors in the same dictionary.
    """

    name: str
    naming: Naming
    averaged: bool
    tensors: Mapping[str, Tensor]
    beside: Sequence[str]


def entry(tree: Tree, table: LayerTable, namings: Sequence[Naming], named: str | None) -> Entry:
    """Gives the network of `table` in `tree`; what was taken, and what was left, is logged.

    Where averaged weights lie beside those of the last step, they are taken, as timm and TF-slim do
    themselves.

    Args:
      tree: all that the file holds.
      table: the backbone it must be; shapes are not looked at.
      namings: those that the backbone may come in.
      named: the entry to take: its name, or how it begins.

    Raises EntryNeededError when several fit and none was named, or none of that name does;
    ConversionError when there is no such network at all.
    """
    found = list(_entries(tree, table, namings))
    if not found:
        names = [name for _, tensors in tables(tree) for name in tensors]
        known = ", ".join(naming.name for naming in namings) or "none is"
        raise ConversionError(
            f"the tensors are named like none of the code bases known to have {table.name} "
            f"({known}); they begin with {listed(names)}."
        )
    whole = _most_complete(found, table)
    chosen = _chosen(whole, named)
    others = [other for other in whole if other is not chosen]
    if chosen.name:
        kind = ", which are averaged," if chosen.averaged else ""
        logging.info("taking the weights%s at %r.", kind, shown(chosen.name))
    if others:
        logging.info(
            "not taken: the weights at %s; entry= chooses.", listed([_title(e) for e in others])
        )
    if chosen.beside:
        logging.info("left aside: %s.", listed(chosen.beside))
    return chosen


def _entries(tree: Tree, table: LayerTable, namings: Iterable[Naming]) -> Iterator[Entry]:
    for naming in namings:
        known = naming.places(table).keys()
        for wrapping, tensors in tables(tree):
            prefixes = _prefixes(tensors, known)
            for prefix in prefixes:
                inner = tuple(p for p in prefixes if p != prefix and p.startswith(prefix))
                own = [n for n in tensors if n.startswith(prefix) and not n.startswith(inner)]
                yield Entry(
                    name=".".join(filter(None, (*wrapping, prefix.rstrip("./")))),
                    naming=naming,
                    averaged=_is_averaged(wrapping, prefix, tensors),
                    tensors={_plain(name.removeprefix(prefix)): tensors[name] for name in own},
                    beside=[name for name in tensors if not name.startswith(prefix)],
                )


def _prefixes(tensors: Iterable[str], known: Collection[str]) -> list[str]:
    """What stands before the names of each network's first tensor."""
    first = next(iter(known))
    wrapped = rf"\.(?:{_WRAPPER})*".join(map(re.escape, first.split(".")))
    found = re.compile(rf"((?:.*[./])?){wrapped}", re.DOTALL)
    firsts = {match[1]: match[0] for match in map(found.fullmatch, tensors) if match}
    prefixes: list[str] = []
    for prefix in sorted(firsts):
        # A network may hold tensors that are called like its first: blocks have layers too.
        outer = (p for p in prefixes if prefix.startswith(p))
        if not any(_plain(firsts[prefix].removeprefix(p)) in known for p in outer):
            prefixes.append(prefix)
        if len(prefixes) == _MOST:
            break
    return prefixes


def _plain(name: str) -> str:
    """Without the modules that wrap others in the middle of a network."""
    return re.sub(rf"(?<![^.]){_WRAPPER}", "", name)


def _is_averaged(wrapping: Sequence[str], prefix: str, tensors: Collection[str]) -> bool:
    named = any(map(_AVERAGED.search, (*wrapping, prefix)))
    return named or prefix.removesuffix("module.") + _COUNT in tensors


def _most_complete(found: Sequence[Entry], table: LayerTable) -> list[Entry]:
    """Those that have every tensor, or else the one that lacks fewest."""
    lacking = {id(e): len(e.naming.places(table).keys() - e.tensors.keys()) for e in found}
    whole = [e for e in found if not lacking[id(e)]]
    return whole or [min(found, key=lambda e: lacking[id(e)])]


def _chosen(found: Sequence[Entry], named: str | None) -> Entry:
    if named is not None:
        exact = [e for e in found if e.name == named]
        fitting = exact or [e for e in found if e.name.startswith(f"{named}.")]
    else:
        averaged = [e for e in found if e.averaged]
        fitting = averaged if len(averaged) == 1 and len(found) <= 2 else list(found)
    if len(fitting) == 1:
        return fitting[0]
    wrong = (
        "several networks" if named is None or fitting else f"no network called {shown(named)!r}"
    )
    raise EntryNeededError(
        f"the file holds {wrong}: there are {listed([_title(e) for e in found])}. Say which.",
        settings=["entry"],
    )


def _title(found: Entry) -> str:
    return f"{shown(found.name)!r}" + (" (averaged)" if found.averaged else "")
