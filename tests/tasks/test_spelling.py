"""How a user spells a task of own data: paths of any form, names, settings."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters import errors
from tasks import spelling
from tasks.augmentation import Augmentation
from tasks.cutting import Cut
from tasks.spelling import TaskSettingError, parse, split, wanted

ODD = st.text(string.ascii_letters + "()=,:/ .'\"", min_size=1)


@pytest.mark.parametrize(
    ("text", "name", "place", "settings"),
    [
        ("folder:/data/cats", None, "/data/cats", {}),
        ("cats=folder:/data/c", "cats", "/data/c", {}),
        ("cats=folder:/data/c(seed=3, fit=pad)", "cats", "/data/c", {"seed": "3", "fit": "pad"}),
        ("folder:a=b/c", None, "a=b/c", {}),
        ("folder:/a,b", None, "/a,b", {}),
        ("folder:/cats (1)", None, "/cats (1)", {}),
        ("folder:/cats (1)(fit=pad)", None, "/cats (1)", {"fit": "pad"}),
        ("folder:/cats(fit=pad)()", None, "/cats(fit=pad)", {}),
        ("folder:/cats(fit=pad)/all", None, "/cats(fit=pad)/all", {}),
        ("csv:c:d=e(label=kind)", None, "c:d=e", {"label": "kind"}),
    ],
)
def test_names_places_and_settings_are_told_apart(text, name, place, settings):
    assert parse(text)[:4] == (name, text.split("=")[0][:4] and parse(text).kind, place, settings)
    assert (parse(text).name, parse(text).place, parse(text).settings) == (name, place, settings)


@given(place=ODD, settings=st.dictionaries(st.sampled_from(["fit", "seed"]), st.just("1")))
def test_every_place_can_be_said_with_every_setting(place, settings):
    said = ", ".join(f"{setting}={value}" for setting, value in settings.items())
    found = parse(f"a b=folder:{place}({said})")
    assert (found.name, found.place, found.settings) == ("a b", place, settings)
    again = parse(found.at(place, "other"))
    assert (again.name, again.place, again.settings) == ("other", place, settings)


def test_what_is_spelled_otherwise_is_none_of_these():
    assert [parse(text) for text in ("digits", "/data/cats", "a=b", "")] == [None] * 4


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (
            "digits,folder:/a(fit=pad,seed=1),icons",
            ["digits", "folder:/a(fit=pad,seed=1)", "icons"],
        ),
        ("folder:/a(b,digits", ["folder:/a(b", "digits"]),
        ("folder:/a(b=c,digits", ["folder:/a(b=c", "digits"]),
        ("x=folder:/a (1),y=folder:/b()", ["x=folder:/a (1)", "y=folder:/b()"]),
    ],
)
def test_commas_between_brackets_part_nothing(typed, meant):
    assert split(typed.split(",")) == meant


def test_settings_say_cut_fit_augmentation_and_columns():
    text = "folder:/a(split=0.8/0.1/0.1, seed=3, fit=pad, background=0/0/9, flip=true, crop=0.5/1)"
    found = wanted(parse(text), ("label",))
    assert found.cut == Cut((0.8, 0.1, 0.1), 3)
    assert found.fields == {
        "fit": "pad",
        "background": (0, 0, 9),
        "augmentation": Augmentation(crop=(0.5, 1.0), flip=True),
    }
    assert wanted(parse("folder:/a(size=96)"), ()).fields == {"size": 96}
    assert wanted(parse("folder:/a(label=kind)"), ("label",)).columns == {"label": "kind"}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("split=0.5/0.5", "split=0.5/0.5, which must be three that sum to 1"),
        ("split=a/b/c", "must be numbers, with / between them"),
        ("seed=-1", "must be a whole number from 0 on"),
        ("size=0", "must be a number of pixels, from 1 on"),
        ("fit=squash", "must be one of stretch, crop, pad"),
        ("background=0/0/256", "must be a colour RED/GREEN/BLUE"),
        ("flip=yes", "must be true or false"),
        ("crop=1", "must be two numbers LEAST/MOST"),
        ("colour=a", "must be numbers"),
        ("seed=1, seed=2", "gives seed twice"),
    ],
)
def test_values_that_cannot_be_read_are_named(setting, said):
    with pytest.raises(TaskSettingError, match=said):
        wanted(parse(f"folder:/a({setting})"), ())


def test_an_unknown_setting_has_near_names():
    with pytest.raises(errors.UnknownNameError, match=r"'fit'.*followed by \(\)|followed by.*fit"):
        wanted(spelling.parse("folder:/a(fitt=pad)"), ())
