import dataclasses

import numpy as np
import pytest

from adapters.store import errors
from adapters.store.contents import Parity


@pytest.mark.parametrize(
    ("field", "value", "error", "match"),
    [
        ("task", "", errors.SchemaError, "'task' is ''"),
        ("task", "a/b", errors.SchemaError, "cannot be a file's name"),
        ("task", "a\\b", errors.SchemaError, "cannot be a file's name"),
        ("task", "..", errors.SchemaError, "cannot be a file's name"),
        ("task", ".hidden", errors.SchemaError, "cannot be a file's name"),
        ("task", "a" * 61, errors.SchemaError, "cannot be a file's name"),
        ("task", "\N{FISH}" * 51, errors.SchemaError, "cannot be a file's name"),
        ("task", "a\nb", errors.SchemaError, "control character"),
        ("task_version", 1, errors.SchemaError, "'task_version' is 1, not a text"),
        ("patch", " ", errors.SchemaError, "'patch' is ' '"),
        ("fingerprint", "AB" * 32, errors.SchemaError, "64 hexadecimal digits"),
        ("norm", "train", errors.SchemaError, "none of frozen, calibrated, batch, ema"),
        ("labels", (), errors.LabelsError, "one text or more"),
        ("labels", "ab", errors.LabelsError, "not a tuple"),
        ("labels", ("a", "a"), errors.LabelsError, "'a' stands for two classes"),
        ("labels", ("a", "\x1b[31mb"), errors.SchemaError, "control character"),
        ("labels", ("a", "b", "c"), errors.LabelsError, "2 columns .* 3 labels"),
        ("scores", {}, errors.SchemaError, "no split"),
        ("scores", {"test": float("nan")}, errors.SchemaError, "'test' is nan"),
        ("scores", {"test": np.float32(1)}, errors.SchemaError, "not a Python float"),
        ("scores", {"test": True}, errors.SchemaError, "not a Python float"),
        ("preprocessing", [1], errors.SchemaError, "not a mapping"),
        ("preprocessing", {"mean": np.zeros(3)}, errors.JSONError, "no ndarray"),
        ("head", {}, errors.SchemaError, "the head is not w"),
        ("head", {"w": np.zeros((3, 2))}, errors.SchemaError, "head/w is float64"),
        ("edits", {"mix": {}}, errors.UnsupportedFeatureError, "kind 'mix'"),
        ("edits", {"replace": {"a/": {"w": np.float32([1])}}}, errors.SchemaError, "'a//w'"),
        ("edits", {"replace": {"a": {"b/w": np.float32([1])}}}, errors.SchemaError, "'a/b/w'"),
        ("edits", {"replace": {"a": {"w": [1.0]}}}, errors.SchemaError, "a/w is list"),
        ("edits", {"replace": {"a": {"w": np.float32([])}}}, errors.SchemaError, "a/w is empty"),
        ("edits", {"replace": {"a": {"w": np.float32([np.inf])}}}, errors.NotFiniteError, "a/w"),
    ],
)
def test_refused_contents(contents, field, value, error, match):
    with pytest.raises(errors.PatchFileError, match=match) as refusal:
        dataclasses.replace(contents, **{field: value})
    assert type(refusal.value) is error


@pytest.mark.parametrize("task", ["cifar10", "vtab-dtd", "My flowers", "Bl\u00fcten", "a.b"])
def test_task_names_that_users_have(contents, task):
    assert dataclasses.replace(contents, task=task).task == task


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**53}, "seed is 9007"),
        ({"seed": 1.0}, "seed is 1.0"),
        ({"shape": (8, 8)}, r"\[8, 8\] is not"),
        ({"shape": (8, 0, 3)}, "side of the parity image is 0"),
        ({"tolerance": 0.0}, "not above zero"),
        ({"tolerance": 0.0021}, "at most 0.002 is allowed"),
        ({"tolerance": 1e300}, "would let other answers pass"),
        ({"tolerance": 0.021, "logits": (1.0, -10.0)}, "at most 0.02 is allowed"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
    ],
)
def test_refused_parity(fields, match):
    good = Parity(seed=0, shape=(8, 8, 3), logits=(0.0,), tolerance=1e-3)
    with pytest.raises(errors.SchemaError, match=match):
        dataclasses.replace(good, **fields)


def test_logits_of_a_diverged_run_are_refused(contents):
    with pytest.raises(errors.NotFiniteError, match=r"logit is inf.*lower learning rate"):
        dataclasses.replace(contents.parity, logits=(0.5, float("inf")))
    with pytest.raises(errors.NotFiniteError, match="logit is nan"):
        dataclasses.replace(contents.parity, int8_logits=(0.5, float("nan")))


def test_logits_must_be_one_for_each_label(contents):
    parity = dataclasses.replace(contents.parity, logits=(0.0,))
    with pytest.raises(errors.LabelsError, match="1 parity logits"):
        dataclasses.replace(contents, parity=parity)
    parity = dataclasses.replace(contents.parity, int8_logits=(0.0,))
    with pytest.raises(errors.LabelsError, match="1 parity logits of int8"):
        dataclasses.replace(contents, parity=parity)
