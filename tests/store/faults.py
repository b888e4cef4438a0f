"""An operating system of which one call fails: which one is counted."""

import io
import os

import pytest

# Not `close`: everything is synced before, so that it has nothing left to report.
CALLS = ("open", "fdopen", "fsync", "chmod", "replace", "unlink", "mkdir")


class Faults:
    """Lets the operating system's calls through, but for the one of the given number."""

    def __init__(self, patched: pytest.MonkeyPatch, fatal: int, number: int):
        self.calls: list[str] = []
        self._fatal, self._number = fatal, number
        for name in CALLS:
            patched.setattr(os, name, self._failing(name, getattr(os, name)))

    def _fails(self, name: str) -> bool:
        self.calls.append(name)
        return len(self.calls) == self._fatal

    def _failing(self, name, real):
        def call(*arguments, **settings):
            if not self._fails(name):
                opened = real(*arguments, **settings)
                return _Writer(opened, self) if name == "fdopen" else opened
            if name == "fdopen":
                os.close(arguments[0])
            self.fail()

        return call

    def write(self, file, data):
        if not self._fails("write"):
            return file.write(data)
        file.write(data[: len(data) // 2])
        file.flush()
        self.fail()

    def fail(self):
        raise OSError(self._number, os.strerror(self._number))


class _Writer:
    """A file that asks before it writes."""

    def __init__(self, file: io.BufferedWriter, faults: Faults):
        self._file, self._faults = file, faults

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def write(self, data):
        return self._faults.write(self._file, data)
