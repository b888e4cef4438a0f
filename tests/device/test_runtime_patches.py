"""Every family of patches on the runtime without JAX, against JAX."""

import dataclasses

import pytest

from adapters.device import feeds
from adapters.device.feeds import UnsupportedPatchError
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
        with pytest.raises(UnsupportedPatchError, match="launch/export --patch"):
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
    with pytest.raises(UnsupportedPatchError, match="launch/export --depthwise"):
        feeds.feed(narrower, edits, "inputs")
