"""Patches of the narrow backbone whose heads read maps, and what JAX says by them."""

import functools

from adapters.backbones import taps
from adapters.export import export_parity
from adapters.heads.registry import from_spec
from adapters.inference.compiled import inference, parity_vector, predictions
from adapters.preprocessing import Preprocessing
from adapters.runtime.device import network_input
from adapters.store.edits import apply_edits
from tests import narrow
from tests.device import exported
from tests.patches.table import PLAIN

HEADS = {
    "squares": ("ssdlite(maps=1, finest=4, coarsest=4, smallest=0.3, threshold=0.35)", 2, 32),
    "square": ("ssdlite(maps=1, finest=4, coarsest=4, smallest=0.3, threshold=0.45)", 1, 32),
    "lights": ("segmentation(low=stride_2, high=stride_4)", 3, 48),
    "scene": ("panoptic(low=stride_2, high=stride_4, queries=5, dimension=8, threshold=0)", 2, 32),
}


@functools.cache
def patch(task):
    """A patch of each kind, whose parity vector JAX has computed."""
    spec, outputs, size = HEADS[task]
    head, edits = from_spec(spec), exported.edits(PLAIN[2], 2)
    channels = {name: taps.channels(narrow.TABLE, name) for name in head.taps}
    weights = export_parity.random_head(head, channels, outputs)
    preprocessing = Preprocessing(size, *narrow.PIXELS).to_json()
    network = inference(narrow.BACKBONE, 1, size, taps=head.taps)
    stated = parity_vector(
        *(network, exported.weights(), edits, weights, preprocessing), apply=head.apply
    )
    return exported.contents(
        task,
        classes=outputs,
        preprocessing=Preprocessing(size, *narrow.PIXELS),
        head=weights,
        parity=stated,
        head_kind=head.kind,
        head_settings=dict(head.settings),
    )


def predicted(made, image):
    """JAX's predictions of an image file."""
    head = from_spec(HEADS[made.task][0])
    preprocessing = Preprocessing.from_json(made.preprocessing)
    network = inference(narrow.BACKBONE, 1, preprocessing.size, taps=head.taps)
    patched = apply_edits(exported.weights(), made.edits)
    batch = {"image": network_input(image, preprocessing)[None]}
    found = predictions(network, patched, made.head, batch, head.apply)
    return {name: rows[0] for name, rows in found.items()}


def wanted(made, image):
    """What JAX says of an image file."""
    return from_spec(HEADS[made.task][0]).decode(made.labels, predicted(made, image))
