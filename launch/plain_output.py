"""What a terminal shows of names that others chose: every character that is there."""

from typing import Any, TextIO

from adapters import names


class PlainOutput:
    """A stream that spells out what a terminal would hide, or would set from right to left.

    For terminals alone: a file or a pipe gets names as they are.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Like a text file's."""
        self._stream.write(names.plain(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
