import signal
import threading

import pytest

from adapters.training import interrupt


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_raises_the_flag_and_handlers_come_back(number):
    earlier = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    with interrupt.interruptible() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        assert stop.reason == signal.Signals(number).name
    assert {n: signal.getsignal(n) for n in earlier} == earlier


def test_the_second_ctrl_c_stops_at_once():
    earlier = signal.getsignal(signal.SIGINT)
    with interrupt.interruptible() as stop:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            signal.raise_signal(number)
        assert stop.reason == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is earlier


def test_another_thread_leaves_the_handlers_alone():
    earlier, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with interrupt.interruptible() as stop:
            seen.append((stop.requested, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, earlier)]
