"""`launch/evaluate --server`: a server's answers about files of many kinds, beside JAX's."""

import dataclasses

import numpy as np
import pytest

from adapters.backbones import registry
from adapters.experiment import backbones, evaluation, predicting, served_evaluation
from adapters.experiment.graph_evaluation import beside_jax
from adapters.heads.linear import LOGITS
from adapters.store.write import encode_patch
from tests import narrow
from tests.launch import small
from tests.serving.questions import OWN


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a backbone, a task's files and the patches of the session's server."""
    place = tmp_path_factory.mktemp("made")
    small.write_backbone(place / "narrow.safetensors")
    small.write_folder(place / "squares", classes=3, images=14)
    small.save_as_people_do(place / "squares")
    for number in range(3):
        (place / "squares" / f"class_{number}").rename(place / "squares" / f"a_{number}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
        fingerprint = backbones.load("narrow", place / "narrow.safetensors").fingerprint
        right = dataclasses.replace(OWN["a"], fingerprint=fingerprint)
        (place / "right.patch").write_bytes(encode_patch(right))
        renamed = dataclasses.replace(right, task="b")  # which has a class more there
        (place / "fewer.patch").write_bytes(encode_patch(renamed))
        yield place


def given(made, patch="right.patch"):
    task = f"folder:{made / 'squares'}"
    return str(made / patch), "train", task, str(made / "narrow.safetensors")


def compared(made, address, patch="right.patch"):
    path, *others = given(made, patch)
    server = address if isinstance(address, str) else f"127.0.0.1:{address[1]}"
    return served_evaluation.compare_served(path, server, *others, None)


def test_a_server_answers_about_files_as_jax_does(made, address):
    found = compared(made, address)
    assert (found.graph, found.same) == ("server", 1)
    assert found.images > 20
    assert 0 <= found.difference < 1e-5 * found.largest
    assert found.accuracy == found.in_jax


def test_so_does_a_predictor(made):
    path, split, task, weights = given(made)
    (predictor,) = predicting.load_all([path], weights).values()

    def ask(files):
        said = [{row["label"]: row["logit"] for row in rows} for rows in predictor.listed(files)]
        logits = [[row[label] for label in predictor.labels] for row in said]
        return {LOGITS: np.array(logits, np.float32)}

    patch = evaluation.open_patch(path, split, task, weights)
    found = beside_jax(patch, "predict", ask, split, None)
    assert (found.same, found.images > 20) == (1, True)
    assert 0 <= found.difference < 1e-5 * found.largest


def test_other_answers_are_seen(made, address, monkeypatch):
    plain = served_evaluation._answers

    def others(place, file):
        rows = plain(place, file)
        return [{**row, "logit": -row["logit"]} for row in rows]

    monkeypatch.setattr(served_evaluation, "_answers", others)
    found = compared(made, address)
    assert found.same == 0
    assert found.difference > 0.1


@pytest.mark.parametrize(
    ("patch", "server", "said"),
    [
        ("fewer.patch", None, "b has other classes than"),
        ("right.patch", "127.0.0.1:9", "does not answer as a server of patches"),
        ("right.patch", "ftp:", "does not answer as a server of patches"),
    ],
)
def test_what_is_no_such_server_is_refused_in_words(made, address, patch, server, said):
    with pytest.raises(served_evaluation.AskedServerError, match=said):
        compared(made, server or address, patch)
