"""Runs that compute once what is the same in every epoch: the same patches, in less time."""

import numpy as np
import pytest

import adapters
from adapters.experiment import computed_once, training_run
from adapters.experiment.settings import settings_of
from adapters.store.read import decode_patch, read_bytes
from adapters.training.prefix import Prefix
from tests import narrow

SETTINGS = {
    "patch": "last(scale_bias, layers=1)",
    **{"steps": 12, "groups": 2, "examples": 4, "size": 32, "patch_rate": 1e-2},
    **{"head_rate": 1e-2, "validations": 1},
}


@pytest.fixture(scope="module")
def kept(pictures, tmp_path_factory):
    """A run that begins behind the blocks that its patch leaves alone, and what it said."""
    with pytest.MonkeyPatch.context() as patch:
        said = []
        patch.setattr(computed_once.logging, "info", lambda text, *of: said.append(text % of))
        made = adapters.fit(pictures, directory=tmp_path_factory.mktemp("kept") / "out", **SETTINGS)
    return made, said


def test_it_says_what_is_computed_once(kept):
    _, said = kept
    assert "the first 4 of 5 blocks are computed once for 42 images, 0 MB in memory" in said


def test_the_patch_is_that_of_a_run_that_computes_all(kept, pictures):
    whole = adapters.fit(pictures, cache=False, **SETTINGS)
    mine, other = (
        decode_patch(read_bytes(made.directory / "arrays.patch")) for made in (kept[0], whole)
    )
    shared = narrow.weights()["tail/norm"]["scale"]
    assert np.abs(mine.edits["replace"]["tail/norm"]["scale"] - shared).max() > 1e-3
    for name, leaf in other.edits["replace"]["tail/norm"].items():
        own = mine.edits["replace"]["tail/norm"][name]
        np.testing.assert_allclose(own, leaf, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mine.head["w"], other.head["w"], rtol=1e-5, atol=1e-6)
    assert kept[0].rows[0].validation_accuracy == whole.rows[0].validation_accuracy


def test_a_resumed_run_has_the_same_bytes_from_a_file_too(kept, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(computed_once, "MEMORY", 0)
    tasks = [adapters.Task.from_arrays(*pictures)]
    for resume in (False, True):
        run = training_run.Run(tasks, settings_of(**SETTINGS), tmp_path / "out", resume=resume)
        for record in run:
            if record.step == 7 and not resume:
                break
    wanted = (kept[0].directory / "arrays.patch").read_bytes()
    assert (tmp_path / "out" / "arrays.patch").read_bytes() == wanted
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        path.name for path in kept[0].directory.iterdir()
    }


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({}, True),
        ({"cache": False}, False),
        ({"augmentation": "task"}, False),
        ({"steps": 5}, False),  # no image comes twice
    ],
)
def test_images_are_kept_where_they_come_again_as_they_were(pictures, changes, again):
    tasks = [adapters.Task.from_arrays(*pictures)]
    settings = settings_of(**{**SETTINGS, **changes})
    assert computed_once.come_again(settings, tasks, [42]) == again


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"norm": "ema"}, False),
        ({"norm": "calibrated"}, False),
        ({"precision": "bfloat16"}, False),
        ({"teacher": "school"}, False),
    ],
)
def test_training_begins_later_where_every_epoch_would_do_the_same(pictures, changes, may):
    tasks = [adapters.Task.from_arrays(*pictures)]
    assert computed_once.may_begin_later(settings_of(**{**SETTINGS, **changes}), tasks) == may
    other = [*tasks, adapters.Task.from_arrays(*pictures, size=48, name="larger")]
    assert not computed_once.may_begin_later(settings_of(**SETTINGS), other)


@pytest.mark.parametrize(("values", "images", "small"), [(3072, 9, True), (3073, 9, False)])
def test_what_is_kept_is_no_larger_than_the_image(values, images, small):
    made = Prefix(("stem",), 32, values, lambda *of: of[1], narrow.BACKBONE)
    assert computed_once.is_small(made, images) == small
    assert not computed_once.is_small(made, 10**7)
