"""The card as JSON, schema 1.

`must_understand` lists what a reader has to know to use the patch: `edit/KIND` for every kind of
edit, `encoding/NAME` for any encoding but float32, `head/KIND` for any head but a classifier,
`auxiliary` where the file has heads for predictions beside the network's own, and `inputs` where
the patch reads more than the image. A reader that meets an entry it does not know refuses the file.
A field of the card that it does not know and that is not listed there, it may ignore: so a later
version can say more without making its patches unreadable.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from adapters.heads.registry import HEADS, from_settings
from adapters.store import canonical_json
from adapters.store.container import DIGEST_FIELD
from adapters.store.contents import Parity, PatchCard, auxiliary_heads
from adapters.store.edit_shapes import check_kinds
from adapters.store.encoding import ENCODINGS
from adapters.store.errors import SchemaError, SchemaVersionError, UnsupportedFeatureError, shown
from adapters.store.kinds import Shape
from adapters.store.training_course import Course
from adapters.vocabulary import EDIT_KINDS

VERSION = 1
CLASSIFICATION = "classification"
_HEAD, INPUTS, WORDS, DATA, TRAINING = "head/", "inputs", "words", "data", "training"
AUXILIARY = "auxiliary"
_INT8 = "int8_logits"

Kind = TypeVar("Kind")


def encode_card(card: PatchCard, kinds: Iterable[str], head: Mapping[str, Shape]) -> dict[str, Any]:
    """The card of a patch with edits of `kinds` and a head of these shapes; no digest yet."""
    return {
        "schema": VERSION,
        "must_understand": _features(kinds, card.encoding, head, card.head_kind, card.inputs),
        "patch": card.patch,
        "backbone": {"name": card.backbone, "fingerprint": card.fingerprint},
        "task": {"name": card.task, "version": card.task_version},
        "labels": list(card.labels),
        "metric": card.metric,
        "scores": {split: float(score) for split, score in card.scores.items()},
        "preprocessing": dict(card.preprocessing),
        "norm": card.norm,
        "encoding": card.encoding,
        "head": _head(head, card.head_kind, card.head_settings),
        "parity": _parity(card.parity),
        **({INPUTS: _listed(card.inputs)} if card.inputs else {}),
        **({WORDS: {name: _listed(own) for name, own in card.words.items()}} if card.words else {}),
        **({DATA: dict(card.data)} if card.data else {}),
        **({TRAINING: _training(card.training)} if card.training else {}),
    }


def check_version(value: Mapping[str, Any]) -> None:
    """Raises SchemaVersionError or UnsupportedFeatureError for a card that needs a later reader."""
    version = _field(value, "schema", int)
    if version != VERSION:
        raise SchemaVersionError(f"the file follows schema {version}, this reader knows {VERSION}")
    needed = _strings(value, "must_understand")
    encodings = {f"encoding/{name}" for name in ENCODINGS}
    heads = {f"{_HEAD}{kind}" for kind in HEADS}
    kinds = {f"edit/{kind}" for kind in EDIT_KINDS}
    known = {*kinds, *encodings, *heads, AUXILIARY, INPUTS}
    unknown = sorted(set(needed) - known)
    if unknown:
        raise UnsupportedFeatureError(
            f"the patch needs {shown(unknown[0])}, which is not known here"
        )


def decode_card(value: Mapping[str, Any]) -> PatchCard:
    """The card that `encode_card` made `value` of.

    Raises SchemaError for a missing or wrong field, and whatever `PatchCard` refuses.
    """
    backbone, task = _field(value, "backbone", dict), _field(value, "task", dict)
    parity, scores = _field(value, "parity", dict), _field(value, "scores", dict)
    head = _field(value, "head", dict)
    shape = _field(parity, "shape", list)
    if len(shape) != 3:
        raise SchemaError(f"the parity image's shape {shape} is not [H, W, C]")
    return PatchCard(
        task=_field(task, "name", str),
        task_version=_field(task, "version", str),
        patch=_field(value, "patch", str),
        backbone=_field(backbone, "name", str),
        fingerprint=_field(backbone, "fingerprint", str),
        norm=_field(value, "norm", str),
        labels=_strings(value, "labels"),
        metric=_field(value, "metric", str),
        scores={split: _field(scores, split, float) for split in scores},
        preprocessing=_field(value, "preprocessing", dict),
        parity=Parity(
            seed=_field(parity, "seed", int),
            shape=(shape[0], shape[1], shape[2]),
            logits=tuple(_floats(parity, "logits")),
            tolerance=_field(parity, "tolerance", float),
            int8_logits=tuple(_floats(parity, _INT8)) if _INT8 in parity else None,
        ),
        encoding=_field(value, "encoding", str),
        inputs=_inputs(value),
        words=_words(value),
        data=_data(value),
        training=_course(_field(value, TRAINING, dict)) if TRAINING in value else None,
        head_kind=_field(head, "kind", str),
        head_settings=_field(head, "settings", dict) if "settings" in head else {},
    )


def check_agreement(
    value: Mapping[str, Any], kinds: Iterable[str], head: Mapping[str, Shape]
) -> None:
    """Raises unless what the card says of the tensors is what the header says of them.

    `kinds` are those of the edits, `head` the shapes `{"w": [features, classes], "b": [classes]}`.
    Raises UnsupportedFeatureError for an unknown kind and SchemaError otherwise.
    """
    kinds = sorted(kinds)
    check_kinds(kinds)
    described = _field(value, "head", dict)
    kind = _field(described, "kind", str)
    encoding, inputs = _field(value, "encoding", str), _inputs(value)
    needed = _features(kinds, encoding, head, kind, inputs)
    if list(_strings(value, "must_understand")) != needed:
        raise SchemaError(f"must_understand does not list what the patch needs: {needed}")
    settings = _field(described, "settings", dict) if "settings" in described else {}
    if INPUTS in value and not inputs:
        raise SchemaError("the card names no inputs, and has a field for them")
    if WORDS in value and not _words(value):
        raise SchemaError("the card names no words, and has a field for them")
    if DATA in value and not _data(value):
        raise SchemaError("the card names no data, and has a field for them")
    if canonical_json.encode(described) != canonical_json.encode(_head(head, kind, settings)):
        raise SchemaError("the card describes another head than the file holds")


def stored_digest(value: Mapping[str, Any]) -> str:
    """The digest that the card holds; SchemaError when there is none."""
    return _field(value, DIGEST_FIELD, str)


def _features(
    kinds: Iterable[str],
    encoding: str,
    head: Iterable[str],
    head_kind: str,
    inputs: Mapping[str, Shape],
) -> list[str]:
    encodings = [] if encoding == "float32" else [f"encoding/{encoding}"]
    auxiliary = [AUXILIARY] if auxiliary_heads(head) else []
    heads = [] if head_kind == CLASSIFICATION else [f"{_HEAD}{head_kind}"]
    others = [INPUTS] if inputs else []
    return sorted([*encodings, *auxiliary, *heads, *others, *(f"edit/{kind}" for kind in kinds)])


def _inputs(value: Mapping[str, Any]) -> dict[str, Shape]:
    described = _field(value, INPUTS, dict) if INPUTS in value else {}
    return {name: tuple(_items(described, name, int)) for name in described}


def _words(value: Mapping[str, Any]) -> dict[str, dict[str, tuple[int, ...]]]:
    described = _field(value, WORDS, dict) if WORDS in value else {}
    return {
        name: {text: tuple(_items(own, text, int)) for text in own}
        for name, own in ((name, _field(described, name, dict)) for name in described)
    }


def _data(value: Mapping[str, Any]) -> dict[str, str]:
    described = _field(value, DATA, dict) if DATA in value else {}
    return {split: _field(described, split, str) for split in described}


def _course(described: Mapping[str, Any]) -> Course:
    return Course(
        step=_field(described, "step", int),
        steps=_field(described, "steps", int),
        end=_field(described, "end", str),
        extended=tuple(_items(described, "extended", int)),
    )


def _training(course: Course) -> dict[str, Any]:
    return {**dataclasses.asdict(course), "extended": list(course.extended)}


def _listed(named: Mapping[str, tuple[int, ...]]) -> dict[str, list[int]]:
    return {name: list(numbers) for name, numbers in named.items()}


def _parity(parity: Parity) -> dict[str, Any]:
    stated = {
        "seed": parity.seed,
        "shape": list(parity.shape),
        "logits": [float(logit) for logit in parity.logits],
        "tolerance": float(parity.tolerance),
    }
    if parity.int8_logits is None:
        return stated
    return {**stated, _INT8: [float(logit) for logit in parity.int8_logits]}


def _head(shapes: Mapping[str, Shape], kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    made = from_settings(kind, settings)
    if made.together == "padded":
        described: dict[str, Any] = {"kind": kind, "maps": made.channels(shapes)}
        return {**described, **({"settings": dict(settings)} if settings else {})}
    features, outputs = shapes["w"]
    described = {"kind": kind, "features": features}
    # Readers of before know a classifier, and call its outputs classes.
    described |= {"classes" if kind == CLASSIFICATION else "outputs": outputs}
    if settings:
        described["settings"] = dict(settings)
    auxiliary = {name: shapes[f"{name}/w"][0] for name in auxiliary_heads(shapes)}
    return {**described, AUXILIARY: auxiliary} if auxiliary else described


def _field(value: Mapping[str, Any], name: str, kind: type[Kind]) -> Kind:
    if name not in value:
        raise SchemaError(f"the field {shown(name)} is missing")
    found = value[name]
    if type(found) is not kind:
        raise SchemaError(
            f"the field {shown(name)} is of type {type(found).__name__}, not {kind.__name__}"
        )
    return found


def _strings(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(_items(value, name, str))


def _floats(value: Mapping[str, Any], name: str) -> tuple[float, ...]:
    return tuple(_items(value, name, float))


def _items(value: Mapping[str, Any], name: str, kind: type[Kind]) -> list[Kind]:
    items = _field(value, name, list)
    for item in items:
        if type(item) is not kind:
            raise SchemaError(
                f"the field {shown(name)} holds {shown(item)}, which is no {kind.__name__}"
            )
    return items
