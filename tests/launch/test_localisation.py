"""Where classifiers look: one run of two levels of a narrow network, up to pictures and scores."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

import adapters
from adapters.backbones import registry
from adapters.backbones.taps import pooled_map
from adapters.errors import UnknownNameError
from adapters.experiment import backbones, localisation_picture, localising, run_checks
from adapters.experiment import training_run as runs
from adapters.experiment.known_places import NoPlacesError, known_places
from adapters.experiment.localisation import NoLocalisationError, localisations
from adapters.experiment.localisation_picture import NothingToDrawError
from adapters.experiment.output import OutputFileError
from adapters.experiment.pictures import PictureError
from adapters.experiment.settings import SettingError
from adapters.heads.registry import from_spec
from adapters.inference.class_maps import NoClassMapError, class_maps, taps_for
from adapters.preprocessing import Preprocessing, normalise, prepare
from adapters.store.edits import apply_edits
from adapters.store.read import read_patch
from tasks.levels import at_level
from tasks.of_another import OfAnother, changed
from tasks.shares import with_share
from tasks.task import Examples, Task
from tests import narrow
from tests.launch import small
from tests.launch.made_tasks import BRIGHTNESS, LIGHTS, SIZES, SQUARES, TWO_LIGHTS, square

SIDE = narrow.SIZE
LABELS = ("bright/lit", "gloomy/dark")  # a class of each level


@dataclasses.dataclass(frozen=True)
class Shown:
    """A source of squares whose names say their class, with what `kind` of task knows of them."""

    kind: str = "segmentation"
    left_out: int = -1

    def open(self, task: Task, split: str, data_dir: str | None) -> "list[Mapping[str, Any]]":
        generator, found = np.random.default_rng(len(split)), []
        for number in range(2 * SIZES[split]):
            noise = generator.integers(-15, 15, (20, 24, 3))
            image, objects = square((120 + noise).astype(np.uint8), generator)
            left, top, right, bottom = (objects[0, :4] * [24, 20, 24, 20]).round().astype(int)
            classes = np.zeros((20, 24), np.int16)
            classes[top:bottom, left:right] = 1
            classes[-1] = -1
            known = {"classes": classes} if self.kind == "segmentation" else {"objects": objects}
            name = f"{LABELS[int(objects[0, 4])]}/{number}"
            if number != self.left_out:
                found.append({"name": name, "image": image, **known})
        return found


@dataclasses.dataclass(frozen=True)
class Odd(OfAnother):
    """A source whose classes are no parts of other ones."""

    def of_split(self, examples: Examples, task: Task, split: str) -> Examples:
        def change(example):
            return {"name": example["name"], "label": int(example["name"].split("/")[-1]) % 2}

        return changed(examples, change=change)


PLACES = Task("shown", Shown(), ("ground", "square"), "Made for a test.", (0, 1), head=LIGHTS.head)
BOXES = dataclasses.replace(SQUARES, name="boxes", source=Shown("boxes"))
FEWER = dataclasses.replace(PLACES, name="fewer", source=Shown(left_out=3))
COARSE = at_level(PLACES, 0, "coarse", ("bright", "gloomy"))
FINE = at_level(PLACES, 1, "fine", ("dark", "lit"))


@pytest.fixture(scope="module")
def finished(squares_weights, tmp_path_factory):
    """The folder of a run of both levels on half of the images."""
    out = tmp_path_factory.mktemp("runs") / "levels"
    settings = small.settings(
        squares_weights, recipe={"steps": 40, "head_rate": 3e-2}, share=0.5, validations=0
    )
    runs.run([COARSE, FINE], settings, out, "a test")
    return out


@pytest.fixture(scope="module")
def loaded(finished, squares_weights):
    return adapters.load(finished / "fine.patch", weights=squares_weights)


@pytest.fixture(scope="module")
def scored(finished, squares_weights):
    """{task: score} of both files, whose coarser class is that of `coarse`."""
    paths = {FINE: finished / "fine.patch", COARSE: finished / "coarse.patch"}
    return {
        task.name: found
        for task, path in paths.items()
        for found in localisations([path], PLACES, "test", task, COARSE, squares_weights)
    }


def by_hand(finished, squares_weights, images):
    """{class: maps} of images [N, H, W, 3], by JAX's own resizing; and logits [N, classes]."""
    patch = read_patch(finished / "fine.patch")
    how = Preprocessing.from_json(patch.preprocessing)
    pixels = np.stack([normalise(prepare(Image.fromarray(one), how), how) for one in images])
    weights = apply_edits(backbones.load("narrow", squares_weights).weights, patch.edits)
    network = jax.vmap(lambda own, one: narrow.BACKBONE.apply(own, one).endpoints, (None, 0))
    last = jax.jit(network)(weights, pixels)["tail"]
    scores = np.asarray(last) @ patch.head["w"]
    large = jax.image.resize(scores, (len(images), SIDE, SIDE, scores.shape[-1]), "bilinear")
    low, high = (pick(np.asarray(large), axis=(1, 2), keepdims=True) for pick in (np.min, np.max))
    maps = np.moveaxis((np.asarray(large) - low) / (high - low), -1, 0)
    return zip(FINE.labels, maps, strict=True), scores.mean(axis=(1, 2)) + patch.head["b"]


def test_a_map_is_what_its_class_adds_up(finished, loaded, squares_weights):
    images = [one["image"] for one in PLACES.source.open(PLACES, "test", None)[:3]]
    by_label, logits = by_hand(finished, squares_weights, images)
    for label, maps in by_label:
        found = loaded.localise(images, label)
        np.testing.assert_allclose(found.maps, maps, atol=2e-4)
        assert found.labels == (label,) * 3
    listed = [{row["label"]: row["logit"] for row in rows} for rows in loaded.listed(images)]
    np.testing.assert_allclose([[row[n] for n in FINE.labels] for row in listed], logits, atol=1e-3)
    assert loaded.localise(images).labels == loaded.predict(images).labels
    each = loaded.localise(images, ["lit", "dark", "lit"], threshold=0.5)
    assert each.labels == ("lit", "dark", "lit")
    for boxes, own in zip(each.boxes, each.maps, strict=True):
        rows, columns = np.nonzero(own > 0.5)
        outer = np.array([boxes[:, 0].min(), boxes[:, 1].min(), *boxes[:, 2:].max(axis=0)])
        wanted = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(outer * SIDE, wanted, atol=1e-4)


def test_squares_are_found_by_who_was_told_their_class_alone(scored):
    fine, coarse = scored["fine"], scored["coarse"]
    figures = {line.name: line for line in fine.lines}
    assert figures["accuracy"].found > 0.8
    assert figures["accuracy of the coarser class"].found == figures["accuracy"].found
    assert figures["PxAP"].found > figures["PxAP"].centre
    own, best = (figures[f"MaxBoxAcc{more}"] for more in ("", ", threshold of this split"))
    assert own.found <= best.found
    assert own.centre <= best.centre
    assert fine.images == coarse.images == 2 * SIZES["test"]
    assert "0.5 of the training images" in fine.setting
    assert "maps" in str(fine)
    rows = fine.rows("a test")
    assert {row.patch for row in rows} == {"scale_bias", "centre"}
    assert {row.setting for row in rows if row.patch == "centre"} == {"32 px"}


def test_the_places_of_a_network_s_image():
    """Of boxes, classes of pixels and segments: those of the one square, or of both lights."""
    how = Preprocessing(20, (0.0,) * 3, (1.0,) * 3)
    names = {one["name"] for one in PLACES.source.open(PLACES, "test", None)[:4]}
    masks, boxes = (known_places(task, "test", how, names) for task in (PLACES, BOXES))
    assert masks.names == boxes.names
    assert boxes.inside is None
    for ours, theirs in zip(masks.boxes, boxes.boxes, strict=True):
        assert len(ours) == len(theirs) == 1
        assert np.abs(ours - theirs).max() <= 1  # 24 pixels became 20
    assert not masks.counts[:, -1].any()
    assert masks.counts[:, :-1].all()
    lights = known_places(TWO_LIGHTS, "test", how, {"test-1"})
    lit = lights.pixels[0].min(axis=-1) > 240
    assert len(lights.boxes[0]) == 2
    assert (lights.inside[0] == lit).mean() > 0.95  # edges are mixed
    with pytest.raises(NoPlacesError, match="predicts regression, and knows of no places"):
        known_places(BRIGHTNESS, "test", how, {"test-1"})
    with pytest.raises(NoPlacesError, match="knows of nothing in the image 'test-0'"):
        known_places(SQUARES, "test", how, {"test-0"})


def test_pictures_show_the_map_and_a_box(loaded, tmp_path):
    examples = PLACES.source.open(PLACES, "test", None)
    Image.fromarray(examples[0]["image"]).resize((96, 80)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no image")
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    first, second = localising.localise_files(loaded, paths, tmp_path / "places", "lit", 0.4)
    assert (first.label, first.fault, second.label) == ("lit", "", "")
    assert second.fault
    document = json.loads((tmp_path / "places" / "places.json").read_text())
    assert document["images"] == [{"file_name": paths[0], "label": "lit", "box": [*first.box]}]
    picture = np.asarray(Image.open(tmp_path / "places" / "0000_a.png")).astype(int)
    assert picture.shape == (80, 96, 3)
    left, top, right, bottom = map(round, first.box)
    assert 0 <= left < right <= 96
    red = picture[..., 0] - picture[..., 2]  # of what was grey
    inside = np.zeros((80, 96), bool)
    inside[top:bottom, left:right] = True
    assert red[inside].mean() > red[~inside].mean()
    with pytest.raises(OutputFileError):
        next(localising.localise_files(loaded, paths, tmp_path / "places"))


def test_a_picture_of_results_has_a_panel_a_figure(scored):
    rows = [row for found in scored.values() for row in found.rows("a test")]
    drawn = localisation_picture.picture(rows, "test")
    assert drawn.startswith(b"\x89PNG")
    assert localisation_picture.picture(rows, "test") == drawn
    with pytest.raises(NothingToDrawError, match="no figure of localisation on validation"):
        localisation_picture.picture(rows, "validation")


def test_what_has_no_map_is_refused(squares_run, loaded):
    detector = read_patch(squares_run[0] / "squares.patch")
    with pytest.raises(NoClassMapError, match="predicts ssdlite, which has no map for a class"):
        taps_for(detector, narrow.TABLE)
    with pytest.raises(NoLocalisationError, match="give one of a classifier"):
        next(localisations([squares_run[0] / "squares.patch"], PLACES, task=SQUARES))
    card, head = loaded.card, from_spec("regression(unit=cm)")
    numbers = dataclasses.replace(card, head_kind=head.kind, head_settings=head.settings)
    with pytest.raises(NoClassMapError, match="predicts regression"):
        taps_for(numbers, narrow.TABLE)
    head = from_spec("multilabel")
    several = dataclasses.replace(card, head_kind=head.kind, head_settings=head.settings)
    assert taps_for(several, narrow.TABLE) == ("features", "tail")
    pooled = registry.table("mobilenet_v3_small_1.0")
    assert pooled_map(pooled) is None
    with pytest.raises(NoClassMapError, match="has a layer after the mean"):
        taps_for(loaded.card, pooled)
    taps = {"features": np.ones((1, 2)), "tail": np.zeros((1, 3, 3, 2))}
    others = ("features", "tail"), {"w": np.ones((2, 1))}, np.zeros(1, int), 6
    with pytest.raises(NoClassMapError, match="changes the features after the mean"):
        class_maps(taps, *others)
    assert not class_maps({**taps, "features": np.zeros((1, 2))}, *others).any()


def test_what_cannot_be_asked_is_refused(finished, loaded, squares_weights):
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(UnknownNameError, match="label of fine"):
        loaded.localise(image, "litt")
    with pytest.raises(PictureError, match="2 labels are given for 1 images"):
        loaded.localise(image, ["lit", "dark"])
    with pytest.raises(SettingError, match="threshold must be from 0 to below 1, not 1"):
        loaded.localise(image, threshold=1)
    path = [finished / "fine.patch"]

    def score(places=PLACES, coarser=None):
        next(localisations(path, places, "test", FINE, coarser, squares_weights))

    with pytest.raises(NoPlacesError, match="no box or mask for 1 of 24 images of the split valid"):
        score(FEWER)
    with pytest.raises(NoPlacesError, match="predicts regression"):
        score(BRIGHTNESS)
    with pytest.raises(NoLocalisationError, match="not one class an image"):
        score(coarser=PLACES)
    with pytest.raises(NoLocalisationError, match="'dark' of fine is no part of one class of odd"):
        score(coarser=dataclasses.replace(COARSE, name="odd", source=Odd(PLACES)))


def test_classes_that_a_share_leaves_without_images_are_said(squares_weights, caplog):
    settings = small.settings(squares_weights, share=0.02)
    run_checks.warn_of_lost_classes(with_share([FINE], settings.share, 0), settings)
    assert "of the share 0.02 of its training images none is of" in caplog.text
