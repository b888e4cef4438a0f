"""What heads that find objects share, whatever predicts the boxes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adapters.heads.contract import Array, Arrays, Head, Shape, computed_by
from adapters.heads.detection import answering
from adapters.heads.detection.answering import Find

THRESHOLD = "threshold"


def detector(
    make: Callable[..., Head],
    given: Mapping[str, Any],
    defaults: Mapping[str, Any],
    find: Find,
    *,
    taps: tuple[str, ...],
    shapes: Callable[[Mapping[str, int], int], dict[str, Shape]],
    channels: Callable[[Mapping[str, Shape]], dict[str, int]],
    apply: Callable[[Arrays, Arrays], dict[str, Any]],
    loss: Callable[[Arrays, Arrays, Any, float, float], dict[str, Any]],
    initial: Callable[[Mapping[str, Shape]], dict[str, Array]],
    begun: Callable[[Arrays, Arrays, Sequence[tuple[int, int]]], dict[str, Array]],
) -> Head:
    """A head that finds objects.

    Args:
      make: the kind's own function, whose name is the kind's.
      given: all settings by name, `threshold` among them.
      defaults: of the settings.
      find: from the predictions of one image to all that may be in it.
      taps, shapes, channels, apply, loss, initial, begun: see `Head`.

    Raises HeadSettingError for a threshold that is none from 0 to 1.
    """
    least = answering.threshold_of(given[THRESHOLD])
    settings = {name: value for name, value in given.items() if value != defaults[name]}

    def after_validation(predictions: Arrays, targets: Arrays) -> Head:
        chosen = answering.threshold_chosen(find, predictions, targets)
        return make(**{**given, THRESHOLD: chosen})

    return Head(
        kind=make.__name__,
        settings=settings,
        computes=computed_by(make.__name__, settings, without=THRESHOLD),
        taps=taps,
        together="padded",
        shapes=shapes,
        channels=channels,
        targets=answering.TARGETS,
        least=1,
        metric=answering.metric(find),
        apply=apply,
        loss=loss,
        figures=lambda predictions, targets, own: {},
        decode=answering.decode(find, least),
        listed=answering.listed(find, least),
        ranked=False,
        soft_targets=None,
        initial=initial,
        begun=begun,
        check_targets=answering.check_targets,
        after_validation=after_validation if given[THRESHOLD] is None else None,
    )
