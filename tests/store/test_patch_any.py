"""Any patch there can be, any change inside of one, any promise of a header: the same again, or a
typed refusal, within ten times the memory of the file.

`reading` says what must be true. The coverage-guided run of the same is `fuzz_reader`.
"""

import contextlib
import dataclasses
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from adapters.store import encoding, errors
from adapters.store.contents import Parity, PatchContents
from adapters.store.edits import apply_edits
from adapters.store.inserted import check_whole
from adapters.store.parity import tolerance
from adapters.store.training_course import Course
from adapters.store.write import encode_patch
from tests.store import make_kind_patches, make_patches
from tests.store.mutated import sealed, take_apart
from tests.store.reading import refused_or_the_same

MANY = settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
SHAPES = make_kind_patches.SHAPES
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1).filter(str.strip)
NUMBERS = st.floats(-60_000, 60_000, width=32)


def numbers(*shape):
    return arrays.arrays(np.float32, shape, elements=NUMBERS)


def bits(count):
    """Packed bits of `count` elements."""
    return arrays.arrays(np.bool_, count).map(np.packbits)


def leaves(kind, module, draw):
    """Some edits of a kind to one module's leaves, by their names in a file."""
    edits = {}
    for leaf, shape in SHAPES[module].items():
        if draw(st.booleans()):
            continue
        if kind in ("replace", "add"):
            edits[leaf] = draw(numbers(*shape))
        elif kind == "mask":
            edits[leaf] = draw(bits(int(np.prod(shape))))
        elif kind == "affine_mask":
            edits[f"{leaf}.mask"] = draw(bits(int(np.prod(shape))))
            edits[f"{leaf}.coefficients"] = draw(numbers(4))
        elif kind == "mixture" and leaf == "w" and "bases" in SHAPES[module]:
            edits["w.coefficients"] = draw(numbers(SHAPES[module]["bases"][0]))
        elif kind == "low_rank" and len(shape) == 2:
            rank = draw(st.integers(1, 6))
            edits[f"{leaf}.down"] = draw(numbers(shape[0], rank))
            edits[f"{leaf}.up"] = draw(numbers(rank, shape[1]))
    return edits


def insertions(module, draw):
    """Leaves that a layer of this module's channels may be given."""
    shapes = SHAPES[module]
    outputs = max(sides[-1] for sides in shapes.values())
    inputs = shapes["w"][-2] if "w" in shapes else outputs
    width = draw(st.integers(1, max(inputs, outputs)))
    taken = draw(st.integers(1, 7))
    size = draw(st.integers(1, 11))
    ways = {
        "nothing": {},
        "modulation": {"scale": (outputs,), "offset": (outputs,)},
        "side": {"side_down": (inputs, width), "side_up": (width, outputs)},
        "adapter": {"adapter": (taken, outputs)},
        "bottleneck": {
            "adapter_down": (taken, narrow := min(width, max(taken, outputs))),
            "adapter_kernel": (size, size, 1, narrow),
            "adapter_up": (narrow, outputs),
        },
    }
    made = ways[draw(st.sampled_from(sorted(ways)))]
    check_whole(module, made)
    free = {name: shape for name, shape in made.items() if name not in shapes}
    return {name: draw(numbers(*shape)) for name, shape in free.items()}


def courses():
    steps = st.lists(st.integers(0, 2**53 - 1), min_size=2, max_size=4).map(sorted)
    return st.builds(
        lambda known, end: Course(known[0], known[-1], end, tuple(known[1:-1])), steps, TEXTS
    )


@st.composite
def patches(draw):
    """Contents for the backbone SHAPES, with edits of any kinds, in any encoding."""
    edits = {}
    for kind in draw(st.sets(st.sampled_from(make_kind_patches.KINDS))):
        for module in SHAPES:
            made = insertions(module, draw) if kind == "insert" else leaves(kind, module, draw)
            if made:
                edits.setdefault(kind, {})[module] = made
    name = draw(st.sampled_from(encoding.ENCODINGS))
    classes = draw(st.integers(1, 4))
    head = {"w": draw(numbers(3, classes)), "b": draw(numbers(classes))}
    for beside in draw(st.sets(st.sampled_from(["preview", "a.b"]))):
        width = draw(st.integers(1, 4))
        head |= {f"{beside}/w": draw(numbers(width, classes)), f"{beside}/b": head["b"]}
    edits, head = encoding.rounded(edits, head, name)
    finite = st.floats(allow_nan=False, allow_infinity=False)
    values = (
        st.none()
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | finite
        | st.text(st.characters(exclude_categories=("Cs",)))
    )
    logits = st.lists(finite, min_size=classes, max_size=classes).map(tuple)
    stated = draw(logits)
    return PatchContents(
        task=draw(st.sampled_from(["tiny", "a b", "\N{FISH}"])),
        task_version=draw(TEXTS),
        patch=draw(TEXTS),
        backbone=draw(TEXTS),
        fingerprint=draw(st.sampled_from(["0" * 64, "0123456789abcdef" * 4])),
        norm=draw(st.sampled_from(["frozen", "calibrated", "batch", "ema"])),
        labels=tuple(draw(st.lists(TEXTS, min_size=classes, max_size=classes, unique=True))),
        metric=draw(TEXTS),
        scores=draw(st.dictionaries(TEXTS, finite, min_size=1, max_size=3)),
        preprocessing=draw(st.dictionaries(TEXTS, values | st.lists(values, max_size=3))),
        parity=Parity(
            seed=draw(st.integers(0, 2**53 - 1)),
            shape=(draw(st.integers(1, 2**53 - 1)), 8, 3),
            logits=stated,
            tolerance=draw(st.floats(0, tolerance(stated), exclude_min=True)),
            int8_logits=draw(st.none() | logits),
        ),
        edits=edits,
        head=head,
        encoding=name,
        data=draw(st.dictionaries(TEXTS, TEXTS, max_size=3)),
        training=draw(st.none() | courses()),
    )


@settings(MANY, max_examples=80)
@given(patches())
def test_any_patch_reads_back_to_itself(contents):
    again = refused_or_the_same(encode_patch(contents), SHAPES)
    for field in dataclasses.fields(contents):
        if field.name not in ("edits", "head"):
            assert getattr(again, field.name) == getattr(contents, field.name), field.name
    weights = {m: {n: np.ones(s, np.float32) for n, s in own.items()} for m, own in SHAPES.items()}
    with np.errstate(over="ignore"):
        left, right = (apply_edits(weights, made.edits) for made in (contents, again))
    for module, own in left.items():
        assert own.keys() == right[module].keys()
        for leaf, array in own.items():
            np.testing.assert_array_equal(right[module][leaf], array, strict=True)


GOOD = {
    "tiny": make_patches.assemble(make_patches.CARD, make_patches.TENSORS),
    **{name: content for name, (_, _, content) in make_kind_patches.goods().items()},
}


@settings(MANY, max_examples=400)
@given(st.sampled_from(sorted(GOOD)), st.randoms(use_true_random=False))
def test_any_change_inside_a_sealed_file(name, random):
    """By somebody who computes digests."""
    shapes = make_patches.SHAPES if name == "tiny" else SHAPES
    with contextlib.suppress(errors.PatchFileError):
        refused_or_the_same(sealed(*take_apart(GOOD[name]), random), shapes)


def test_changes_reach_the_checks_behind_the_digest():
    """Or the test above would show nothing."""
    found = set()
    for seed in range(300):
        random = Random(seed)
        content = sealed(*take_apart(GOOD[random.choice(sorted(GOOD))]), random)
        try:
            refused_or_the_same(content, SHAPES)
            found.add(None)
        except errors.PatchFileError as error:
            found.add(type(error))
    assert errors.DigestError not in found
    assert found >= {
        None,
        errors.JSONError,
        errors.HeaderError,
        errors.SchemaError,
        errors.LabelsError,
        errors.UnsupportedFeatureError,
        errors.ShapeMismatchError,
        errors.NotFiniteError,
    }


# Much for its size, in a header: in texts, in structure, in both.
UNITS = ["a", "ab" * 500, "\N{FISH}", "\u4e2d" * 50, "\n", "\\" * 50, "", 0, 0.1, [], {}, [[[]]]]


@settings(MANY, max_examples=50)
@given(
    units=st.lists(st.sampled_from(UNITS), min_size=1, max_size=3),
    count=st.sampled_from([1, 100, 2000, 10_000, 60_000]),
    form=st.sampled_from(["text", "list", "mapping", "texts"]),
    field=st.sampled_from([*sorted(make_patches.CARD), "data", "later"]),
    body=st.sampled_from([1, 10_000, 300_000]),
)
def test_whatever_a_header_promises(units, count, form, field, body):
    many = (units * count)[:count]
    promise = {
        "text": "".join(map(str, many)),
        "texts": [f"{number}{unit}" for number, unit in enumerate(many)],
        "list": many,
        "mapping": {f"{number}": unit for number, unit in enumerate(many)},
    }[form]
    check_promise(make_patches.card_with(**{field: promise}), body)


def check_promise(card, body=1):
    tensors = {"edit/replace/stem/w": ([body], [1.0] * body), **make_patches.TENSORS}
    tensors = {name: tensors[name] for name in ("edit/replace/stem/w", "head/b", "head/w")}
    content = make_patches.assemble(card, tensors)
    with contextlib.suppress(errors.PatchFileError):
        refused_or_the_same(content, {"stem": {"w": (body,)}})


@pytest.mark.parametrize("wide", ["\N{FISH}", "\ud800", ""])
@pytest.mark.parametrize("field", ["labels", "norm", "later", "preprocessing"])
def test_one_wide_character_in_a_long_text(wide, field):
    """Python then takes four bytes for each of its characters."""
    text = "a" * 150_000 + wide
    value = {"labels": ["cat", text], "preprocessing": {text: text[:9]}}.get(field, text)
    check_promise(make_patches.card_with(**{field: value}))


@pytest.mark.parametrize(
    "tensor",
    [
        ("edit/insert/" + "a" * 500_000 + "/open", [1]),
        ("edit/replace/" + "ab/" * 160_000 + "w", [1]),
        ("edit/low_rank/stem/w." + "a" * 500_000, [1]),
        ("edit/replace/stem/w", [1] * 1500),
        ("x" * 500_000, [1]),
    ],
    ids=["module", "path", "part", "shape", "name"],
)
def test_names_and_shapes_as_long_as_a_header(tensor):
    name, shape = tensor
    kinds = [f"edit/{name.split('/')[1]}"] if "/" in name else []
    card = make_patches.card_with(must_understand=kinds)
    tensors = {name: (shape, [1.0]), "head/b": make_patches.TENSORS["head/b"]}
    content = make_patches.assemble(card, {**tensors, "head/w": make_patches.TENSORS["head/w"]})
    with pytest.raises(errors.PatchFileError):
        refused_or_the_same(content, SHAPES)


@pytest.mark.parametrize("name", encoding.ENCODINGS)
@pytest.mark.parametrize("shape", [[100_000], [1, 100_000], [100_000, 1], [1000, 100]])
def test_one_tensor_that_is_all_of_the_file(name, shape):
    edits = make_kind_patches.stored({"edit/replace/stem/w": shape}, name)
    tensors = edits | make_kind_patches.stored(make_kind_patches.HEAD, name)
    content = make_patches.assemble(make_kind_patches.card("replace", name), tensors)
    refused_or_the_same(content, {"stem": {"w": tuple(shape)}})
