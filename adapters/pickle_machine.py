"""Pickle's stack machine, without what makes it dangerous: the standard library's is not used.

A pickle is a program. This reads the part of the language in which arrays, tensors and plain data
are written (protocols 0 to 5), and no more. What a program may take is counted, since a few bytes
can ask for gigabytes: an address in the memo, a length, a call repeated on an object that is there
already. Opcodes are described in the standard library's `pickletools`, which splits a file into
them.
"""

import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from adapters import errors
from adapters.shown import shown, shown_value

Names = Mapping[tuple[str, str], Any]
"""(module, name) as a pickle spells it, to what it is given instead."""

MEMORY = 1 << 27
"""Bytes that a pickle may make beside the text in it. A checkpoint's takes 7,000 a tensor."""

_EACH = 160  # bytes, the most that one opcode makes: a dictionary's first entry, an integer as key


class PickleError(errors.ModelPatchError):
    """A pickle asks for something that is not on the list, or is damaged."""


class Unread:
    """Stands for an object that nothing here needs: takes everything, keeps nothing."""

    def __init__(self, *_: Any) -> None:
        pass


def run(file: BinaryIO, names: Names, persistent: Callable[[Any], Any] | None) -> Any:
    """Runs one program from `file`, which is left behind its end.

    Raises PickleError; and whatever a damaged program makes the objects on its stack raise.
    """
    machine = _Machine(names, persistent)
    for opcode, argument, _ in pickletools.genops(file):
        machine.charge(_EACH)
        if opcode.name == "STOP":
            return machine.pop()
        machine.step(opcode.name, argument)
    raise PickleError("the pickle has no end.")


class _Machine:
    def __init__(self, names: Names, persistent: Callable[[Any], Any] | None):
        self._names, self._persistent = names, persistent
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # what lies under each mark
        self._memo: dict[int, Any] = {}
        self._left = MEMORY

    def charge(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise PickleError(f"the pickle asks for more than {MEMORY} bytes of memory: refused.")

    def pop(self) -> Any:
        return self._stack.pop()

    def step(self, name: str, argument: Any) -> None:
        match name:
            case "PROTO" | "FRAME":
                pass
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                self._stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[name])
            case "EMPTY_TUPLE" | "EMPTY_LIST" | "EMPTY_DICT":
                self._stack.append({"EMPTY_TUPLE": (), "EMPTY_LIST": [], "EMPTY_DICT": {}}[name])
            case "MARK":
                self._below.append(self._stack)
                self._stack = []
            case "POP":
                self.pop()
            case "POP_MARK":
                self._above_mark()
            case "DUP":
                self._stack.append(self._stack[-1])
            case "TUPLE" | "LIST" | "DICT":
                items = self._above_mark()
                self._stack.append(_GROUPS[name](items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                self._stack[-count:] = [tuple(self._stack[-count:])]
            case "APPEND" | "APPENDS":
                items = [self.pop()] if name == "APPEND" else self._above_mark()
                self._filled(list).extend(items)
            case "SETITEM" | "SETITEMS":
                value = [self.pop(), self.pop()][::-1] if name == "SETITEM" else self._above_mark()
                self._filled(dict).update(_pairs(value))
            case "PUT" | "BINPUT" | "LONG_BINPUT":
                self._memo[argument] = self._stack[-1]
            case "MEMOIZE":
                self._memo[len(self._memo)] = self._stack[-1]
            case "GET" | "BINGET" | "LONG_BINGET":
                self._stack.append(self._memo[argument])
            case "GLOBAL":
                self._stack.append(self._named(*argument.split(" ", 1)))
            case "STACK_GLOBAL":
                inner, module = self.pop(), self.pop()
                self._stack.append(self._named(module, inner))
            case "REDUCE" | "NEWOBJ":
                arguments, function = self.pop(), self.pop()
                for given in arguments:
                    self._charge_copy(given)
                self._stack.append(function(*arguments))
            case "BUILD":
                state = self.pop()
                self._build(self._stack[-1], state)
            case "PERSID" | "BINPERSID":
                self._stack.append(self._elsewhere(argument if name == "PERSID" else self.pop()))
            case _ if name in _LITERALS:
                if isinstance(argument, str | bytes | bytearray):
                    self._left += len(argument)  # as much as the file itself holds is never refused
                self._stack.append(argument)
            case _:
                raise PickleError(f"the pickle holds {name}, which arrays and plain data have not.")

    def _above_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _filled(self, kind: type) -> Any:
        """The object on top, to which items are added."""
        target = self._stack[-1]
        if isinstance(target, Unread):
            return kind()
        if type(target) is not kind:
            raise PickleError(f"the pickle adds items to {shown_value(target)}: it is damaged.")
        return target

    def _named(self, module: Any, name: Any) -> Any:
        if not isinstance(module, str) or not isinstance(name, str):
            raise PickleError("the pickle names what it asks for by no text: it is damaged.")
        if (module, name) not in self._names:
            raise PickleError(
                f"the pickle asks for {shown(module)}.{shown(name)}, which could run code: it is "
                "not loaded. Export the file as safetensors where it came from."
            )
        return self._names[module, name]

    def _elsewhere(self, identifier: Any) -> Any:
        if self._persistent is None:
            raise PickleError("the pickle refers to data outside it.")
        return self._persistent(identifier)

    def _charge_copy(self, given: Any) -> None:
        """A call may copy what it is given, and be repeated on the same object."""
        if isinstance(given, str | bytes | bytearray):
            self.charge(len(given))
        elif isinstance(given, tuple | list | dict):
            self.charge(_EACH * len(given))

    def _build(self, target: Any, state: Any) -> None:
        # Attributes of what became a plain dictionary are nothing that is needed.
        if isinstance(target, Unread) or type(target) is dict:
            return
        target.__setstate__(state)


_LITERALS = frozenset(
    [
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING"),
        *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
        *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    ]
)


def _pairs(items: list[Any]) -> dict[Any, Any]:
    keys = items[::2]
    # The hash of a deeply nested key would overflow the interpreter's own stack.
    if not all(map(_is_key, keys)):
        raise PickleError("the pickle holds a dictionary whose keys are no plain values: refused.")
    return dict(zip(keys, items[1::2], strict=True))


def _is_key(key: Any) -> bool:
    return _is_plain(key) or (type(key) is tuple and all(map(_is_plain, key)))


def _is_plain(key: Any) -> bool:
    return key is None or type(key) in (str, bytes, int, float, bool)


_GROUPS: Mapping[str, Callable[[list[Any]], Any]] = {"TUPLE": tuple, "LIST": list, "DICT": _pairs}
