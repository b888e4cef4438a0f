"""Patches as text."""

import inspect

import jax
import pytest

from adapters.errors import UnknownNameError
from adapters.patches.bias import bias
from adapters.patches.combine import chain
from adapters.patches.depthwise import depthwise
from adapters.patches.last import last
from adapters.patches.lora import lora
from adapters.patches.mask import mask
from adapters.patches.registry import PATCHES, from_spec, with_defaults
from adapters.patches.scale_bias import scale_bias
from adapters.patches.settings import PatchSettingError
from adapters.patches.spotpatch import spotpatch
from adapters.spec import SpecError, Term, parse
from tests import narrow


def test_terms_inner_patches_and_settings():
    assert parse("bias + spotpatch( mask(affine=true)+scale_bias, weight=-1e-1, per=block )") == (
        Term("bias", (), {}),
        Term(
            "spotpatch",
            (Term("mask", (), {"affine": True}), Term("scale_bias", (), {})),
            {"weight": -0.1, "per": "block"},
        ),
    )
    assert parse("lora(rank=4, alpha=none)")[0].settings == {"rank": 4, "alpha": None}


@pytest.mark.parametrize(
    ("spec", "what"),
    [
        ("", "lacks a name"),
        ("bias+", "lacks a name"),
        ("bias+bias", "names a patch twice"),
        ("lora(rank=4", "not closed"),
        ("lora(rank=)", "a setting without a value"),
        ("lora(rank=4, rank=2)", "gives rank twice"),
        ("spotpatch(bias, mask)", "'mask' where a setting"),
        ("bias)", "cannot be read from '\\)' on"),
        ("bias & mask", "cannot be read from ' & mask' on"),
    ],
)
def test_a_text_that_is_no_patch_is_refused(spec, what):
    with pytest.raises(SpecError, match=what):
        parse(spec)


@pytest.mark.parametrize(
    ("spec", "error", "what"),
    [
        ("spotpatch(scale_bais)", UnknownNameError, "Did you mean 'scale_bias'"),
        ("spotpatch", SpecError, "'spotpatch' takes a patch in its brackets"),
        ("bias(mask)", SpecError, "'bias' takes no patch inside"),
        ("lora(rnak=2)", PatchSettingError, "no setting 'rnak'; it has: rank, alpha"),
        ("lora(rank=0)", PatchSettingError, "rank=0 must be 1 or more"),
        ("lora(rank=1.5)", PatchSettingError, "rank=1.5; it must be of the kind int"),
        ("mask(affine=1)", PatchSettingError, "affine=1; it must be of the kind bool"),
        ("lora(alpha=true)", PatchSettingError, "alpha=True; it must be of the kind float"),
        ("parallel_adapter(rank=2.0)", PatchSettingError, "rank=2.0; it must be of the kind int"),
        ("random_gates(bias)", PatchSettingError, "needs the setting budget_bits"),
        ("last(bias)", PatchSettingError, "takes one of layers=... and budget_bits=..."),
        ("bias(rate=1)", PatchSettingError, "no setting 'rate'; it has: none"),
    ],
)
def test_a_patch_that_cannot_be_made_is_refused(spec, error, what):
    with pytest.raises(error, match=what):
        from_spec(spec)


@pytest.mark.parametrize(
    ("made", "spec"),
    [
        (scale_bias(), "scale_bias"),
        (lora(4), "lora(rank=4, alpha=none)"),
        (lora(alpha=2, rank=1), "lora(rank=1, alpha=2)"),
        (chain(bias(), depthwise()), "bias+depthwise"),
        (chain(chain(bias(), depthwise()), mask(affine=True)), "bias+depthwise+mask(affine=true"),
        (last(chain(bias(), lora()), layers=2), "last(bias+lora(rank=2, alpha=none), layers=2"),
        (spotpatch(mask(), freeze=2 / 3), "spotpatch(mask(affine=false, score_rate=0.01), weight"),
    ],
)
def test_a_patch_made_in_python_has_the_spec_that_makes_it(made, spec):
    assert made.spec.startswith(spec)
    again = from_spec(made.spec)
    assert again.spec == made.spec == with_defaults(made.spec)
    key, weights = jax.random.key(0), narrow.weights()
    one, other = (jax.tree.leaves(patch.init(key, weights)) for patch in (made, again))
    assert [leaf.shape for leaf in one] == [leaf.shape for leaf in other]


@pytest.mark.parametrize("name", sorted(PATCHES))
def test_every_constructor_names_what_it_makes(name):
    needed = {"inner": bias(), "budget_bits": 9, "layers": 2, "preview": "mobilenet_v2_0.5"}
    known = inspect.signature(PATCHES[name]).parameters
    wanted = {
        setting: needed[setting]
        for setting, parameter in known.items()
        if parameter.default is parameter.empty or (name, setting) == ("last", "layers")
    }
    made = PATCHES[name](**wanted)
    (term,) = parse(made.spec)
    assert term.name == name
    assert term.settings.keys() == known.keys() - {"inner"}
    for setting, value in term.settings.items():
        assert value == wanted.get(setting, known[setting].default)
