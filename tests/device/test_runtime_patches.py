"""Every family of patches on the runtime without JAX, against JAX."""

import dataclasses
import re

import pytest

from adapters.patches.registry import PATCHES
from adapters.runtime import feeds
from adapters.runtime.feeds import UnsupportedPatchError
from tests import imports
from tests.device import exported
from tests.patches.table import PLAIN


def adds_paths(entry):
    """Whether the patch adds leaves that nothing can take up."""
    inserted = exported.edits(entry).get("insert", {}).values()
    return any(leaf not in ("scale", "offset") for leaves in inserted for leaf in leaves)


@pytest.mark.parametrize("entry", PLAIN, ids=lambda entry: entry.name)
def test_every_patch_answers_as_in_jax_or_is_refused(device, tmp_path, entry):
    made = exported.contents("one", entry)
    path = exported.patch_file(tmp_path, made)
    if adds_paths(entry):
        with pytest.raises(UnsupportedPatchError, match="Export a graph for this task alone"):
            device.install(path)
        assert device.tasks() == ()
        return
    for how in ("auto", "folded"):
        assert device.install(path, how) == "one"
        exported.close(device.run("one", exported.png(1)), made, exported.png(1))


@pytest.mark.parametrize("entry", PLAIN, ids=lambda entry: entry.name)
def test_what_can_be_an_input_is_one(device, tmp_path, entry):
    path = exported.patch_file(tmp_path, exported.contents("one", entry))
    changed = [
        (module, leaf)
        for modules in exported.edits(entry).values()
        for module, leaves in modules.items()
        for leaf in leaves
    ]
    fits = [
        leaf in ("scale", "offset", "mean", "var") or (module.endswith("depthwise") and leaf == "w")
        for module, leaf in changed
    ]
    if all(fits):
        device.install(path, "inputs")
        assert device.tasks() == ("one",)
    else:
        with pytest.raises(UnsupportedPatchError):
            device.install(path, "inputs")


def test_without_depthwise_inputs_their_kernels_are_folded():
    graph = exported.graph()
    fewer = {kind: names for kind, names in graph.inputs.items() if kind != "depthwise"}
    narrower = dataclasses.replace(graph, inputs=fewer)
    edits = exported.edits(next(entry for entry in PLAIN if entry.name == "depthwise, frozen"))
    assert feeds.feed(graph, edits, "auto").kind == "depthwise"
    assert feeds.feed(narrower, edits, "auto").kind == "folded"
    with pytest.raises(UnsupportedPatchError, match="depthwise kernels can also be made inputs"):
        feeds.feed(narrower, edits, "inputs")


def documented():
    """{family: (as inputs, folded)} of the table in docs/export.md, and the families below it."""
    text = (imports.ROOT / "docs" / "export.md").read_text()
    _, _, rest = text.partition('| patch | `install(how="inputs")` |')
    table, _, rest = rest.partition("\n\n")
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    ways = {
        family: (inputs, folded)
        for families, inputs, folded in rows
        for family in re.findall(r"`(\w+)`", families)
    }
    return ways, set(re.findall(r"`(\w+)`", rest.partition("By default")[0]))


def test_the_documentation_names_every_family_once():
    ways, others = documented()
    assert not ways.keys() & others
    assert ways.keys() | others == PATCHES.keys()


@pytest.mark.parametrize("entry", PLAIN, ids=lambda entry: entry.name)
def test_the_documentation_says_how_each_gets_in(entry):
    ways, _ = documented()
    families = re.findall(r"[a-z_]+(?=[(+,]|$)", entry.name.rpartition(", ")[0])
    told = [ways[family] for family in families if family in ways]
    graph = exported.graph()
    for column, how in enumerate(("inputs", "folded")):
        yes = all(way[column] in ("yes", "with `--depthwise`") for way in told)
        if yes and told:
            assert feeds.feed(graph, exported.edits(entry), how)
        elif told:
            with pytest.raises(UnsupportedPatchError):
                feeds.feed(graph, exported.edits(entry), how)
