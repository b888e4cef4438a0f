"""Flags that several commands take. A command asks for each one that it has; `--help` lists those.

    _WEIGHTS = shared_flags.weights()

Two commands in one process share the flag.
"""

import functools

from absl import flags

flags.disclaim_key_flags()  # a flag belongs to the module that asks for it


def accept_unsigned() -> flags.FlagHolder[bool]:
    """For commands that open a store."""
    flag = _accept_unsigned()
    flags.declare_key_flag(flag.name)
    return flag


def data_dir() -> flags.FlagHolder[str | None]:
    """Where the tasks are that nothing here fetches."""
    return _asked("data_dir", "Folder with prepared TFDS data sets (the decathlon suite).")


def graph() -> flags.FlagHolder[str | None]:
    """For commands that run an exported backbone as a device does."""
    return _asked("graph", "The exported backbone, as launch/export wrote it.")


def store() -> flags.FlagHolder[str | None]:
    """For commands that install patches or answer with installed ones."""
    return _asked("store", "Folder of installed patches.")


def task() -> flags.FlagHolder[str | None]:
    """For commands that score a patch file."""
    return _asked(
        "task", "Task to score on, if the patch's own name does not find it: folder:PATH, say."
    )


def trusted() -> flags.FlagHolder[list[str] | None]:
    """For commands that check signatures."""
    flag = _trusted()
    flags.declare_key_flag(flag.name)
    return flag


def unsigned_graph() -> flags.FlagHolder[bool]:
    """For commands that run an exported backbone where keys are trusted."""
    flag = _unsigned_graph()
    flags.declare_key_flag(flag.name)
    return flag


def weights() -> flags.FlagHolder[str | None]:
    """For commands that need the backbone itself."""
    return _asked("weights", "The backbone's local checkpoint, if it brings none.")


def _asked(name: str, meaning: str) -> flags.FlagHolder[str | None]:
    flag = _text(name, meaning)
    flags.declare_key_flag(name)
    return flag


@functools.cache
def _text(name: str, meaning: str) -> flags.FlagHolder[str | None]:
    return flags.DEFINE_string(name, None, meaning)


@functools.cache
def _accept_unsigned() -> flags.FlagHolder[bool]:
    return flags.DEFINE_bool(
        "accept_unsigned",
        False,
        "Open the store without keys, though it was filled by trusted ones.",
    )


@functools.cache
def _unsigned_graph() -> flags.FlagHolder[bool]:
    return flags.DEFINE_bool(
        "unsigned_graph", False, "Believe --graph though no trusted key signed its folder."
    )


@functools.cache
def _trusted() -> flags.FlagHolder[list[str] | None]:
    return flags.DEFINE_list(
        "trusted",
        None,
        "Public keys to trust: files, or folders of nothing else, with commas between.",
    )
