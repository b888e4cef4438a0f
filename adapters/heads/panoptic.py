"""Which segment each pixel is of: surfaces, and things one by one, by a mask transformer.

Kirillov et al., "Panoptic Segmentation", arXiv 1801.00868, with a small decoder of the k-means kind
(`masks/decoder.py`) on two maps of the network, trained as kMaX-DeepLab is (`masks/losses.py`).
Training may be relaxed as ReMaX does (`masks/relaxation.py`: partly our reconstruction), which
changes no answer: what it needs beside the head is trained, and not shipped.

Target `segments`: [H, W], the number of each pixel's class times `MOST_OF_CLASS`, plus that of its
segment among those of the class; -1 where a pixel does not count. The score is panoptic quality
(PQ), of all segments of a split together.
"""

from collections.abc import Mapping
from typing import Any

from adapters.heads.contract import (
    Arrays,
    Head,
    HeadSettingError,
    Shape,
    Target,
    computed_by,
)
from adapters.heads.masks import answering, decoder
from adapters.heads.masks.answering import SEGMENTS, Answering

_DEFAULTS: dict[str, Any] = {
    **{"low": "stride_8", "high": "stride_16", "queries": 16, "dimension": 64, "blocks": 2},
    **{"stuff": 0, "threshold": 0.5, "semantic": 1.0, "remask": False, "reclass": 0.0},
}
_COMPUTED = ("low", "high", "queries", "dimension", "blocks")
_MOST = {"queries": 256, "dimension": 1024, "blocks": 12}


def panoptic(
    low: str | None = "stride_8",
    high: str = "stride_16",
    queries: int = 16,
    dimension: int = 64,
    blocks: int = 2,
    stuff: int = 0,
    threshold: float = 0.5,
    semantic: float = 1.0,
    remask: bool = False,
    reclass: float = 0.0,
) -> Head:
    """Which segment each pixel is of, and the label of each segment.

    Args:
      low, high: names of maps, see `adapters.backbones.taps`: masks are as fine as `low`. None:
        `high` alone is read.
      queries: masks that are predicted of an image: it can have so many segments.
      dimension: numbers that a pixel or a mask is described by.
      blocks: how often masks gather their pixels.
      stuff: the first so many labels are of surfaces, which have one segment in an image.
      threshold: how sure a segment has to be to be an answer, from 0 to 1.
      semantic: in training alone: how much each pixel's class counts, which an auxiliary layer
        tells; 0: there is none.
      remask: in training alone: whether masks are relaxed by what that layer tells (ReMask).
      reclass: in training alone: how much classes are relaxed by what masks lie on (ReClass), from
        0 to 1; 0.1 is our reconstruction of the published one.

    Raises HeadSettingError.
    """
    given: dict[str, Any] = {
        **{"low": low, "high": high, "queries": queries, "dimension": dimension, "blocks": blocks},
        **{"stuff": stuff, "threshold": threshold},
        **{"semantic": semantic, "remask": remask, "reclass": reclass},
    }
    _check(given)
    names = {decoder.HIGH: high} if low is None else {decoder.LOW: low, decoder.HIGH: high}
    sizes = decoder.Sizes(queries, dimension, blocks)
    answers = Answering(stuff, threshold)
    settings = {name: value for name, value in given.items() if value != _DEFAULTS[name]}
    computing = {name: settings[name] for name in _COMPUTED if name in settings}

    def shapes(channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
        read = {leaf: channels[name] for leaf, name in names.items()}
        return decoder.shapes(sizes, read, outputs)

    def training_shapes(channels: Mapping[str, int], outputs: int) -> dict[str, Shape]:
        more = decoder.training_shapes(sizes, outputs) if semantic else {}
        return shapes(channels, outputs) | more

    def channels(shapes: Mapping[str, Shape]) -> dict[str, int]:
        return decoder.channels(shapes, names)

    def read(taps: Arrays) -> Arrays:
        return {leaf: taps[name] for leaf, name in names.items()}

    def apply(weights: Arrays, taps: Arrays) -> dict[str, Any]:
        return decoder.predicted(sizes, weights, read(taps))

    def training_apply(weights: Arrays, taps: Arrays) -> dict[str, Any]:
        return decoder.predicted_in_training(sizes, weights, read(taps), bool(semantic))

    def loss(
        predictions: Arrays, targets: Arrays, own: Any, smoothing: float, distillation: float
    ) -> dict[str, Any]:
        """See `masks.losses`; of predictions of the head in training."""
        del distillation
        from adapters.heads.masks import losses

        how = losses.Relaxation(remask, reclass, semantic)
        return losses.losses(predictions, targets[SEGMENTS], own, smoothing, how)

    def check(outputs: int) -> None:
        if outputs > answering.MOST_LABELS or outputs < stuff:
            raise HeadSettingError(
                f"there are {outputs} labels; the head has numbers for {answering.MOST_LABELS}, "
                f"and its setting stuff says that the first {stuff} are of surfaces."
            )

    shipped = Head(
        kind="panoptic",
        settings=settings,
        computes=computed_by("panoptic", computing),
        taps=tuple(names.values()),
        together="padded",
        shapes=shapes,
        channels=channels,
        targets={SEGMENTS: Target("int32", per="segment")},
        least=1,
        metric=answers.metric,
        apply=apply,
        loss=loss,
        figures=lambda predictions, targets, own: {},
        decode=answers.decode,
        listed=answers.listed,
        ranked=False,
        mask=answers.mask,
        soft_targets=None,
        initial=decoder.initial,
        check=check,
        check_targets=answering.check_targets(queries),
    )
    in_training = shipped._replace(shapes=training_shapes, apply=training_apply)
    return shipped._replace(in_training=in_training)


def _check(given: Mapping[str, Any]) -> None:
    """Raises HeadSettingError."""
    low, high = given["low"], given["high"]
    if type(high) is not str or not (low is None or type(low) is str) or low == high:
        raise HeadSettingError(
            f"low and high must name two maps, or low be none; they are {low!r} and {high!r}."
        )
    for name, most in _MOST.items():
        value = given[name]
        if type(value) is not int or not 1 <= value <= most:
            raise HeadSettingError(f"{name} is {value!r}; it must be from 1 to {most}.")
    if type(given["stuff"]) is not int or given["stuff"] < 0:
        raise HeadSettingError(
            f"stuff is {given['stuff']!r}; it must be a whole number, 0 or more."
        )
    for name in ("threshold", "reclass"):
        value = given[name]
        if type(value) not in (int, float) or not 0 <= value <= 1:
            raise HeadSettingError(f"{name} is {value!r}; it must be a number from 0 to 1.")
    semantic = given["semantic"]
    if type(semantic) not in (int, float) or not 0 <= semantic < float("inf"):
        raise HeadSettingError(f"semantic is {semantic!r}; it must be a number, 0 or above.")
    if type(given["remask"]) is not bool:
        raise HeadSettingError(f"remask is {given['remask']!r}; it must be true or false.")
    if given["remask"] and not semantic:
        raise HeadSettingError(
            "remask relaxes masks by what the auxiliary layer tells, and semantic is 0: there is "
            "none. Raise semantic, or leave remask out."
        )
