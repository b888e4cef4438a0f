"""A network is found in whatever a training script wraps it; which one was taken is said."""

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.backbones.conversion_error import ConversionError
from adapters.backbones.convert import convert
from adapters.backbones.entries import EntryNeededError
from adapters.backbones.formats import read_tensors
from adapters.backbones.registry import table
from adapters.fingerprint import fingerprint
from tests.backbones import published
from tests.backbones.torch_writer import torch_file

TABLE = "mobilenet_v2_0.35"
BLOCKS = {"torchvision": "features.3.", "timm": "blocks.1.0."}
WRAPPERS = ("module.", "_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module.")
PREFIXES = (*WRAPPERS, "model.", "net.", "backbone.", "encoder.0.", "student.body.")
KEYS = ("model", "state_dict", "model_state_dict", "net", "weights", "checkpoint", "a key of mine")


@functools.cache
def network(naming="torchvision", seed=0):
    """A checkpoint without a head; each seed is another one."""
    tensors = published.tensors(naming, TABLE, classes=1)
    head = published.naming(naming, TABLE).head_places()
    return {n: a + np.float32(seed) for n, a in tensors.items() if n not in head}


@functools.cache
def identity(naming="torchvision", seed=0):
    return fingerprint(convert(network(naming, seed), table(TABLE), None, "", "").weights)


def taken(content, entry=None):
    checkpoint = convert(content, table(TABLE), None, "", "", entry)
    return fingerprint(checkpoint.weights)


def prefixed(tensors, prefix):
    return {prefix + name: array for name, array in tensors.items()}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    naming=st.sampled_from(sorted(BLOCKS)),
    keys=st.lists(st.sampled_from(KEYS), max_size=3),
    prefixes=st.lists(st.sampled_from(PREFIXES), max_size=3),
    infix=st.sampled_from(("", *WRAPPERS)),
    in_a_file=st.booleans(),
)
def test_any_wrapping_is_taken_off(naming, keys, prefixes, infix, in_a_file):
    block, prefix = BLOCKS[naming], "".join(prefixes)
    content = {
        prefix + name.replace(block, block + infix): array
        for name, array in network(naming).items()
    }
    content["criterion.weight"] = np.zeros(3, np.float32)
    for key in keys:
        content = {key: content, "optimizer": {"state": {"exp_avg": np.zeros(2, np.float32)}}}
    if in_a_file:
        plain = {"epoch": 3, "lr": 0.1, "best": None, "arch": "a network"} if keys else {}
        content = read_tensors(torch_file({**content, **plain}))
    assert taken(content) == identity(naming)


BESIDE = {
    "timm": lambda raw, mean: {"state_dict": raw, "state_dict_ema": mean},
    "torchvision's scripts": lambda raw, mean: {
        "model": raw,
        "model_ema": {"n_averaged": np.int64(9), **prefixed(mean, "module.")},
    },
    "averages that no name tells": lambda raw, mean: {
        "last": raw,
        "other": {"n_averaged": np.int64(9), **prefixed(mean, "module.")},
    },
    "stochastic averages": lambda raw, mean: {"net": raw, "swa_model": mean},
    "lightning": lambda raw, mean: {
        "state_dict": {**prefixed(raw, "model."), **prefixed(mean, "ema_model.module.")}
    },
    "one in the other": lambda raw, mean: {**raw, **prefixed(mean, "ema.")},
}


@pytest.mark.parametrize("layout", BESIDE)
def test_averages_are_taken_and_the_last_weights_by_name(layout, caplog):
    caplog.set_level("INFO")
    content = BESIDE[layout](network(), network(seed=1))
    assert taken(content) == identity(seed=1)
    assert "taking the weights, which are averaged, at '" in caplog.text
    name = caplog.text.partition("not taken: the weights at '")[2].partition("'")[0]
    assert taken(content, name) == identity()
    average = caplog.text.partition("averaged, at '")[2].partition("'")[0]
    assert (
        taken(content, average)
        == taken(content, average.partition(".module")[0])
        == identity(seed=1)
    )


@pytest.mark.parametrize(
    "keys", [("teacher", "student"), ("ema_0.99", "ema_0.999"), ("a", "b", "ema")]
)
def test_several_networks_are_asked_about(keys):
    content = {key: network(seed=seed) for seed, key in enumerate(keys)}
    with pytest.raises(EntryNeededError, match="holds several networks: there are '") as asked:
        taken(content)
    assert asked.value.settings == ("entry",)
    assert all(repr(key) in str(asked.value) for key in keys)
    for seed, key in enumerate(keys):
        assert taken(content, key) == identity(seed=seed)
    with pytest.raises(EntryNeededError, match="no network called 'c': there are '"):
        taken(content, "c")


def test_a_network_that_is_whole_goes_before_one_that_is_not():
    part = dict(list(network(seed=1).items())[:9])
    assert taken({"part_ema": part, "model": network()}) == identity()


def test_of_incomplete_networks_the_faults_are_told():
    content = {"model": dict(list(network().items())[1:])}
    with pytest.raises(ConversionError, match="named like none of the code bases"):
        taken(content)
    content = {"model": dict(list(network().items())[:-1])}
    with pytest.raises(ConversionError, match="1 faults"):
        taken(content)


def test_wrappings_that_hold_themselves_end():
    content = {"model": network()}
    content["again"] = content
    assert taken(content) == identity()
