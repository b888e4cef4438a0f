import io
import math

import pytest

from adapters.training import progress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_file_gets_a_line_every_ten_seconds():
    clock, stream = Clock(), io.StringIO()
    with progress.Progress(200, initial=100, stream=stream, clock=clock) as bar:
        for step in range(101, 126):
            clock.now += 1.0
            bar.update(step, images=32, losses={"dtd": 2.0, "svhn": 1.0})
        bar.message("validation: 50 %")
    assert stream.getvalue().splitlines() == [
        "step 110/200 (55%), 32 images/s, loss 1.500: dtd 2.000, svhn 1.000, 1:30 left",
        "step 120/200 (60%), 32 images/s, loss 1.500: dtd 2.000, svhn 1.000, 1:20 left",
        "validation: 50 %",
        "step 125/200 (62%), 32 images/s, loss 1.500: dtd 2.000, svhn 1.000, 1:15 left",
    ]


def test_a_terminal_gets_a_bar():
    stream = Terminal()
    with progress.Progress(4, initial=2, stream=stream) as bar:
        bar.update(3, images=8, losses={"dtd": 2.0})
        bar.message("validation: 50 %")
        bar.update(4, images=8, losses={"dtd": 1.0})
    last = stream.getvalue().rstrip("\n").split("\r")[-1]
    assert "4/4" in last
    assert "images/s, loss 1.000" in last
    assert "validation: 50 %\n" in stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()])
def test_other_processes_print_nothing(stream):
    with progress.Progress(4, enabled=False, stream=stream, interval=0.0) as bar:
        bar.update(1, images=8, losses={"dtd": 2.0})
        bar.message("validation: 50 %")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("losses", "text"),
    [
        ({}, ""),
        ({"a": math.nan}, ""),
        ({"a": 0.5, "b": math.nan}, "loss 0.500"),
        ({"a": 0.5, "b": 1.0, "c": 0.0}, "loss 0.500: a 0.500, b 1.000, c 0.000"),
        ({"a": 0.5, "b": 1.5, "c": 0.0, "d": 1.0}, "loss 0.750: b 1.500 to c 0.000"),
    ],
)
def test_losses_fit_on_a_line(losses, text):
    assert progress.describe(losses) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0:00"), (59.6, "1:00"), (3599, "59:59"), (36061, "10:01:01")]
)
def test_durations(seconds, text):
    assert progress.duration(seconds) == text
