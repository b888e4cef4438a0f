"""Patches as text."""

import pytest

from adapters.errors import UnknownNameError
from adapters.patches.registry import from_spec
from adapters.patches.settings import PatchSettingError
from adapters.spec import SpecError, Term, parse


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
