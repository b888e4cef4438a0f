"""Heads by name: what a task's text and a file's card become."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from adapters.errors import ModelPatchError, UnknownNameError
from adapters.heads.classification import classification
from adapters.heads.contract import Head, HeadSettingError
from adapters.heads.fpnlite import fpnlite
from adapters.heads.multilabel import multilabel
from adapters.heads.panoptic import panoptic
from adapters.heads.regression import regression
from adapters.heads.segmentation import segmentation
from adapters.heads.ssdlite import ssdlite
from adapters.spec import SpecError, parse

HEADS: dict[str, Callable[..., Head]] = {
    "classification": classification,
    "fpnlite": fpnlite,
    "multilabel": multilabel,
    "panoptic": panoptic,
    "regression": regression,
    "segmentation": segmentation,
    "ssdlite": ssdlite,
}


SCORES = frozenset(make().metric.score for make in HEADS.values())
"""The figures that runs are compared by; a run has one of each task and split."""


class OtherHeadError(ModelPatchError):
    """A patch whose head is of a kind that this part of the library has no use for."""


class Described(Protocol):
    """What says which head it has: a patch's card."""

    @property
    def task(self) -> str: ...

    @property
    def head_kind(self) -> str: ...

    @property
    def head_settings(self) -> Mapping[str, Any]: ...


def head_of(card: Described) -> Head:
    """The head that a patch's card names. Raises as `from_settings`."""
    return from_settings(card.head_kind, card.head_settings)


def check_classifier(card: Described, user: str) -> None:
    """Raises OtherHeadError unless the head is a classifier's, for `user`, who takes no other."""
    if card.head_kind != "classification":
        raise OtherHeadError(
            f"the patch for {card.task} predicts {card.head_kind}; {user} takes classifiers alone: "
            "leave it out."
        )


def from_spec(spec: str) -> Head:
    """The head that `spec` describes: a kind, with settings in brackets where it has them.

    Raises:
      UnknownNameError: no such kind; near names are offered.
      SpecError: `spec` cannot be read.
      HeadSettingError: a setting that the kind does not have, or out of its range.

    >>> from_spec("regression(unit=years)").settings
    {'unit': 'years'}
    """
    terms = parse(spec, "head")
    if len(terms) != 1 or terms[0].inner:
        raise SpecError(f"head {spec!r} must be one kind, such as {', '.join(HEADS)}.")
    return from_settings(terms[0].name, terms[0].settings)


def from_settings(kind: str, settings: Mapping[str, Any]) -> Head:
    """The head of a kind with these settings, as a file's card has them. Raises as `from_spec`."""
    if kind not in HEADS:
        raise UnknownNameError("head", kind, HEADS)
    known = inspect.signature(HEADS[kind]).parameters
    for name in settings:
        if name not in known:
            raise HeadSettingError(
                f"the head {kind!r} has no setting {name!r}; it has: {', '.join(known) or 'none'}."
            )
    try:
        return HEADS[kind](**settings)
    except TypeError as error:
        given = ", ".join(f"{name}={value!r}" for name, value in settings.items())
        raise HeadSettingError(
            f"the head {kind!r} cannot take {given}: a value of another kind is needed."
        ) from error
