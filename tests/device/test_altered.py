"""Good patch files of which one thing was changed and the digest made right: none is installed."""

import dataclasses
import importlib.util

import numpy as np
import pytest

from adapters.runtime import graph_file
from adapters.runtime.device import Device
from adapters.runtime.feeds import OtherSizeError
from adapters.runtime.stored import StoredDevice
from adapters.store import errors
from tests.device import exported


@pytest.fixture(scope="module", params=["float32", "int8"])
def kernels(request, backbone, tmp_path_factory):
    """The exported backbone's file, of either kind of kernels."""
    if request.param == "float32":
        return backbone
    if not importlib.util.find_spec("litert_quantizer"):
        pytest.skip("not installed: litert_quantizer; `launch/test` installs what is missing")
    path = tmp_path_factory.mktemp("int8") / "int8.tflite"
    graph_file.write_graph(path, exported.int8_graph())
    return path


def preprocessed(**fields):
    return lambda made: dataclasses.replace(made, preprocessing={**made.preprocessing, **fields})


def columns(*order):
    """The head's columns in another order."""

    def change(made):
        head = {"w": made.head["w"][:, order].copy(), "b": made.head["b"][list(order)]}
        return dataclasses.replace(made, head=head)

    return change


def another_s_head(made):
    return dataclasses.replace(made, head=exported.contents("one", seed=5).head)


def another_edit(made):
    edits = exported.contents("one", seed=5).edits
    return dataclasses.replace(made, edits=edits)


def of_other_weights(made):
    return dataclasses.replace(made, fingerprint="0" * 64)


def of_wider_features(made):
    return dataclasses.replace(made, head={"w": np.ones((17, 3), np.float32), "b": made.head["b"]})


def of_wider_layers(made):
    scale = {"scale": np.ones(9, np.float32)}
    return dataclasses.replace(made, edits={"replace": {"stem/norm": scale}})


def of_another_size(made):
    preprocessing = dataclasses.replace(exported.PREPROCESSING, size=48)
    return exported.contents(made.task, preprocessing=preprocessing)


ALTERED = {
    "mean": (
        preprocessed(mean=[127.5, 127.5, 127.0]),
        errors.PreprocessingMismatchError,
        r"trained with \(x - \(127.5, 127.5, 127.5\)\)",
    ),
    "std": (
        preprocessed(std=[127.5, 127.5, 128.0]),
        errors.PreprocessingMismatchError,
        "the backbone was trained with",
    ),
    "size": (
        preprocessed(size=48),
        errors.PreprocessingMismatchError,
        "48 x 48 x 3, but the parity image has 32 x 32 x 3",
    ),
    "fit": (preprocessed(fit="crop"), errors.PreprocessingMismatchError, "fit 'crop'"),
    "background": (
        preprocessed(background=[255, 255, 254]),
        errors.PreprocessingMismatchError,
        r"background \(255, 255, 254\)",
    ),
    "a field too many": (
        preprocessed(resample="nearest"),
        errors.PreprocessingMismatchError,
        "holds the fields",
    ),
    "two classes exchanged": (columns(1, 0, 2), errors.ParityError, "logits differ"),
    "head": (another_s_head, errors.ParityError, "logits differ"),
    "edits": (another_edit, errors.ParityError, "logits differ"),
    "weights": (of_other_weights, errors.FingerprintError, "for narrow 000000000000"),
    "features": (
        of_wider_features,
        errors.ShapeMismatchError,
        "17 features, the backbone gives 16",
    ),
    "layers": (of_wider_layers, errors.ShapeMismatchError, r"scale is \[9\], the backbone's is"),
    "another size": (of_another_size, OtherSizeError, "Export it for size 48 too"),
}


@pytest.mark.parametrize("name", ALTERED)
def test_a_file_of_which_one_thing_was_changed_is_refused(kernels, tmp_path, name):
    change, error, said = ALTERED[name]
    device, made = Device(kernels), exported.contents("one")
    path = exported.patch_file(tmp_path, change(made))
    with pytest.raises(error, match=said) as refusal:
        device.install(path)
    assert type(refusal.value) is error
    assert device.tasks() == ()
    store = tmp_path / "store"
    with pytest.raises(error, match=said):
        StoredDevice(kernels, store, trusted=None).install(path)
    assert not list(store.rglob("*.patch"))
    device.install(exported.patch_file(tmp_path, made))
    assert device.tasks() == ("one",)


def test_of_patches_of_before_images_were_bound_the_scaling_alone_is_known(kernels, tmp_path):
    made = exported.contents("one", image=0)
    device = Device(kernels)
    for change in (lambda made: made, preprocessed(fit="crop")):
        assert device.install(exported.patch_file(tmp_path, change(made))) == "one"
    for name in ("mean", "std", "size"):
        change, error, said = ALTERED[name]
        with pytest.raises(error, match=said):
            device.install(exported.patch_file(tmp_path, change(made)))
