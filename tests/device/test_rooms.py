"""One graph for a classifier, a detector and two segmenters, each of its own size, against JAX."""

import dataclasses

import pytest

from adapters.backbones import taps
from adapters.export import litert
from adapters.fingerprint import fingerprint
from adapters.heads.registry import from_spec
from adapters.preprocessing import Preprocessing, view_of
from adapters.runtime.device import Device, NoMaskError
from adapters.runtime.feeds import OtherSizeError, UnsupportedPatchError
from adapters.runtime.graph_file import read_graph, write_graph
from adapters.runtime.room_choice import find_room, room_of
from adapters.runtime.rooms import Room
from adapters.store.errors import ParityError, ShapeMismatchError
from tests import narrow
from tests.device import exported
from tests.device.mapped import HEADS, patch, wanted

TASKS = ("squares", "lights", "scene")


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Its file; rooms of boxes and of segments are wider than the heads in them."""
    rooms = []
    for task, wider in (("squares", 2), ("lights", 0), ("scene", 1)):
        spec, outputs, size = HEADS[task]
        head = from_spec(spec)
        channels = {name: taps.channels(narrow.TABLE, name) for name in head.taps}
        rooms.append(Room(head.kind, head.settings, channels, outputs + wider, size))
    settings = exported.SETTINGS._replace(
        batches=(1, 2), kinds=("norms", "folded"), others=tuple(rooms)
    )
    made = litert.export_backbone(
        *("narrow", narrow.BACKBONE, exported.weights(), fingerprint(exported.weights())),
        *(narrow.EPSILON, narrow.PIXELS, settings),
    )
    path = tmp_path_factory.mktemp("rooms") / "narrow.tflite"
    write_graph(path, made)
    return path


@pytest.mark.parametrize("how", ["inputs", "folded"])
def test_three_kinds_of_tasks_share_a_graph_and_answer_as_in_jax(graph, tmp_path, how, capfd):
    device, image = Device(graph), exported.png(3)
    for made in (exported.contents("plain"), *map(patch, TASKS)):
        assert device.install(exported.patch_file(tmp_path, made), how) == made.task
    exported.close(device.run("plain", image), exported.contents("plain"), image)
    for task in TASKS:
        both = device.run_all(task, [image, exported.png(4), image])
        expected = wanted(patch(task), image)
        for answer in (both[0], both[2]):
            assert answer.agreement(expected) == 1
            assert answer.label == expected.label
        assert both[1].agreement(expected) < 1
    capfd.readouterr()
    found = device.listed("squares", image)
    assert capfd.readouterr().err == ""  # LiteRT has no notice of a call, also of anchors
    assert len(found) == len(device.run("squares", image).boxes) > 1
    for box in (one["bbox"] for one in found):  # of the picture, which is 50 x 40
        assert 0 <= box[0] < box[0] + box[2] <= 50
        assert 0 <= box[1] < box[1] + box[3] <= 40
    mask = device.mask("lights", image)
    assert mask.shape == (40, 50)
    preprocessing = Preprocessing.from_json(patch("lights").preprocessing)
    view = view_of(50, 40, preprocessing)
    assert (mask == wanted(patch("lights"), image).mask(view)).mean() > 0.99
    with pytest.raises(NoMaskError, match="squares predicts ssdlite"):
        device.mask("squares", image)


def test_one_changed_number_of_such_a_head_is_found(graph):
    device = Device(graph)
    for task, leaf in (("squares", "1/boxes/w"), ("lights", "low"), ("scene", "pixels/low")):
        made = patch(task)
        other = made.head[leaf].copy()
        other.flat[0] += 1
        with pytest.raises(ParityError):
            device.prove(dataclasses.replace(made, head={**made.head, leaf: other}))


def test_a_head_without_a_room_is_refused_by_name(graph, backbone):
    with pytest.raises(UnsupportedPatchError, match=r"lights has the head segmentation\(low=strid"):
        Device(backbone).prove(patch("lights"))
    device, made = Device(graph), patch("squares")
    larger = dataclasses.replace(made, preprocessing={**made.preprocessing, "size": 64})
    larger = dataclasses.replace(
        larger, parity=dataclasses.replace(made.parity, seed=0, shape=(64, 64, 3))
    )
    with pytest.raises(OtherSizeError, match="squares looks at images of 64 pixels, this graph at"):
        device.prove(larger)
    narrower = room_of(made, 32)._replace(outputs=1)
    with pytest.raises(UnsupportedPatchError, match="2 classes; this graph has room for 1"):
        find_room(made, 32, [narrower])
    other = room_of(made, 32)._replace(channels={"stride_4": 12})
    with pytest.raises(ShapeMismatchError, match="'stride_4': 16} channels, this graph gives"):
        find_room(made, 32, [other])


def test_a_graph_of_before_has_one_room(backbone):
    read = read_graph(backbone)
    assert [room.head.computes for room in read.rooms] == ["linear"]
    assert read.signature("norms", read.rooms[0], 4) == "norms_32_4"
