"""Names: what they find, and what is said of those that find nothing."""

import re

import pytest

from adapters import errors
from adapters.heads.contract import HeadSettingError
from tasks import registry, suites
from tasks.task import Task, TaskError
from tests.tasks.stand_in import tiny_task

pytestmark = pytest.mark.usefixtures("fresh_registry")


def test_every_member_of_every_suite_is_registered():
    for suite, members in suites.SUITES.items():
        assert tuple(task.name for task in registry.resolve([suite])) == members


def test_the_two_decathlons_have_ten_domains():
    assert len(suites.SUITES["decathlon"]) == len(suites.SUITES["pocket_decathlon"]) == 10


@pytest.mark.parametrize("name", registry.known())
def test_every_description_says_what_the_user_must_know(name: str):
    (task,) = registry.resolve([name])
    for heading in ("Licence: ", "Sizes: ", "Command: launch/train --tasks=", "Expected: "):
        assert f"\n{heading}" in task.description, heading
    assert 0 <= task.expected[0] < task.expected[1] <= 1
    if "endered" in task.description:
        assert re.match(r"Rendered", task.description)


def test_names_keep_their_order_and_count_once():
    found = registry.resolve(["textures", "pocket", "digits"])
    assert [task.name for task in found] == ["textures", "digits", "silhouettes", "glyphs", "icons"]


def test_a_size_after_a_name_is_of_the_network_s_images():
    (digits,) = registry.resolve(["digits"])
    large, small = registry.resolve(["digits@96", "digits@32"])
    assert (large.name, large.size, small.name, small.size) == ("digits@96", 96, "digits@32", 32)
    assert large.kept_as == digits.kept_as == "digits"
    assert registry.registered("digits@96") == large
    pocket = registry.resolve(["pocket@48"])
    assert [task.name for task in pocket] == [f"{name}@48" for name in suites.SUITES["pocket"]]
    for odd in ("digits@", "digits@0", "digits@48@32", "digit@48"):
        with pytest.raises(errors.UnknownNameError):
            registry.resolve([odd])
    with pytest.raises(TaskError, match="1 pixel or more"):
        tiny_task(size=0)


def test_a_misspelt_name_lists_its_neighbours():
    with pytest.raises(errors.UnknownNameError, match="silhouettes") as raised:
        registry.resolve(["silhouetes"])
    assert raised.value.near[0] == "silhouettes"


def test_one_task_is_wanted_and_a_suite_given():
    assert registry.resolve_one("digits").name == "digits"
    with pytest.raises(registry.SeveralTasksError, match=r"'pocket' is 5 tasks.*silhouettes"):
        registry.resolve_one("pocket")


@pytest.mark.parametrize("taken", ["digits", "pocket"])
def test_a_name_is_given_once(taken: str):
    with pytest.raises(errors.DuplicateNameError, match=taken):
        registry.register(tiny_task(taken))


def test_a_file_registers_its_tasks_once(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from tasks import registry\nfrom tests.tasks.stand_in import tiny_task\n"
        "registry.register(tiny_task('first'))\nregistry.register(tiny_task('second'))\n"
    )
    for _ in range(2):
        assert [task.name for task in registry.resolve([str(path)])] == ["first", "second"]
    assert registry.resolve(["second"])[0].name == "second"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no task file"),
        ("x = 1\n", "registers no task"),
        ("raise OSError('broken')\n", "OSError: broken"),
        ("def (\n", "SyntaxError"),
    ],
)
def test_a_file_that_gives_no_task_is_named(tmp_path, content: str | None, said: str):
    path = tmp_path / "mine.py"
    if content is not None:
        path.write_text(content)
    with pytest.raises(registry.TaskFileError, match=said) as raised:
        registry.resolve([str(path)])
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"labels": ("one",)}, TaskError, "needs 2 or more"),
        ({"labels": ("a", "b", "a")}, TaskError, "of one name: a"),
        ({"name": "a,b"}, TaskError, "cannot be called"),
        ({"name": ""}, TaskError, "1 to 60 characters"),
        ({"name": "\N{FISH}" * 51}, TaskError, "at most 200 bytes"),
        ({"name": "a/b"}, TaskError, "a file is named after it"),
        ({"name": ".hidden"}, TaskError, "no dot or space at either end"),
        ({"name": "a\x07b"}, TaskError, "cannot be called"),
        ({"labels": ("a", "b\x1b[31m")}, TaskError, "without control characters"),
        ({"labels": ("a", " ")}, TaskError, "a class needs a name"),
        ({"splits": ("validation",)}, TaskError, "must be 'train'"),
        ({"splits": ("train", "val")}, TaskError, "must be 'train'"),
        ({"labels": (), "head": "regression"}, TaskError, "needs 1 or more"),
        ({"head": "regression(units=years)"}, HeadSettingError, "units"),
        ({"head": "detection"}, errors.UnknownNameError, "classification"),
        ({"fit": "squash"}, errors.UnknownNameError, "stretch"),
    ],
)
def test_a_task_that_does_not_hold_together_is_refused(changes, error, said):
    good = {
        "name": "t",
        "source": None,
        "labels": ("a", "b"),
        "description": "",
        "expected": (0, 1),
    }
    Task(**good)
    with pytest.raises(error, match=said):
        Task(**{**good, **changes})
