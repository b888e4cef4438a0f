"""Locks that the operating system holds on open files, and releases when a process ends."""

from adapters.errors import ModelPatchError


class UnsupportedSystemError(ModelPatchError):
    """Something that this operating system has no means for."""


def locked(descriptor: int, shared: bool = False) -> bool:
    """Takes the lock of an open file, or says that another process holds it.

    Raises UnsupportedSystemError on Windows, whose locks are others.
    """
    try:
        import fcntl  # here, so that what needs no lock works without
    except ImportError as error:
        raise UnsupportedSystemError(
            "folders that are written to are locked as Linux and macOS do, and this system has no "
            "such locks: on Windows, use WSL."
        ) from error
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
