"""Inputs beside an image that are said in words, of a closed list of texts.

Each text stands for some numbers of the input, which are 1; the others are 0. Texts that share a
number share what a patch learns of it: "left sign" and "right sign" are both of signs.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from adapters.errors import UnknownNameError

Words = Mapping[str, tuple[int, ...]]
"""{text: places of its ones}, of one input."""

NOTHING = ""
"""The text of an input that is not given, where the list has it."""


def numbers(name: str, text: str, words: Words, length: int) -> npt.NDArray[np.float32]:
    """The input [length] that is called `name`, as a text says it.

    Raises UnknownNameError, which lists the texts there are.

    >>> numbers("query", "left sign", {"": (0,), "left sign": (1, 2)}, 4).tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    if text not in words:
        known = [each for each in words if each != NOTHING]
        raise UnknownNameError(name, text, known)
    found = np.zeros(length, np.float32)
    found[list(words[text])] = 1
    return found


def spoken(words: Words) -> dict[int, str]:
    """{number: the text that it alone stands for}: not those that only change what others mean.

    >>> spoken({"": (0,), "sign": (1,), "left sign": (1, 2)})
    {1: 'sign'}
    """
    return {own[0]: text for text, own in words.items() if len(own) == 1 and text != NOTHING}


def unsaid(
    inputs: Mapping[str, tuple[int, ...]], words: Mapping[str, Words]
) -> dict[str, npt.NDArray[np.float32]]:
    """{name: numbers} of those inputs that need not be given."""
    return {
        name: numbers(name, NOTHING, own, inputs[name][0])
        for name, own in words.items()
        if NOTHING in own
    }
