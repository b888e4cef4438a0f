"""Makes `.venv` beside pyproject.toml from a lock, then becomes a command that runs in it.

What installs is `uv` where that is on PATH, and pip elsewhere; either checks every package's hash.
`launch/train` and its siblings run this file with a system Python, so it needs the standard library
alone. `python -m launch.train` is the way into an environment that somebody else installed.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import IO, Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "modelpatch.json"
HELD = ENVIRONMENT / "modelpatch.lock"
LOG = ENVIRONMENT / "modelpatch.log"
LOCKS = ("train",)  # of `requirements/`, that a command's packages come from
LOCKS_OF = {  # where others do
    "test": ("test", "converter"),
    "export": ("test", "converter"),
    "page": ("test", "converter"),
    "benchmark_device": ("test", "converter"),
    "answer": ("test",),
}
# Has no wheel, and so runs code of its own while it is installed: TensorFlow Datasets needs it.
WITHOUT_WHEEL = ("promise",)
SECONDS_BETWEEN_LINES = 15.0  # of progress, where no terminal shows it


class SetupError(Exception):
    """`.venv` could not be made; the message says why and what to do."""


def main(name: str, arguments: list[str]) -> None:
    """Becomes `python -m launch.{name}` in `.venv`: same process, so same exit code and signals."""
    try:
        prepare(LOCKS_OF.get(name, LOCKS))
    except SetupError as error:
        sys.exit(f"launch/{name}: {error}")
    except KeyboardInterrupt:
        print(f"\nlaunch/{name}: stopped; the next call makes .venv again.", file=sys.stderr)
        sys.exit(130)
    use_huge_pages()
    # -P: a folder called `tasks` where the user stands must not hide ours.
    os.execv(PYTHON, [str(PYTHON), "-P", "-m", f"launch.{name}", *arguments])


def use_huge_pages() -> None:
    """Asks glibc, from 2.35 on, to back large allocations by huge pages; others ignore the word.

    A training step allocates its activations anew; faulting them in by small pages took 40 % of a
    scale/bias step on two cores (docs/performance.md). A setting of the user's own stays.
    """
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    if "glibc.malloc.hugetlb" not in tunables:
        chosen = [*filter(None, [tunables]), "glibc.malloc.hugetlb=1"]
        os.environ["GLIBC_TUNABLES"] = ":".join(chosen)


def prepare(locks: Sequence[str]) -> None:
    """Makes or updates `.venv` from each `requirements/{lock}.lock` unless it is current already.

    A stamp, written last, holds the sha256 of what was installed; without it nothing in `.venv` is
    trusted. Raises SetupError.
    """
    if all(is_current(lock) for lock in locks):
        return
    try:
        with exclusive() as held:
            for lock in locks:
                if not is_current(lock):
                    install(lock, held)
    except OSError as error:
        raise SetupError(f"could not make {ENVIRONMENT}: {error}") from error


def is_current(lock: str) -> bool:
    """Whether `.venv` holds all that `requirements/{lock}.lock` asks for, for this checkout."""
    stamp = read_stamp()
    return is_whole(stamp) and stamp["locks"].get(lock) == digest(lock)


def is_whole(stamp: dict[str, Any]) -> bool:
    """Whether the installation that `stamp` describes ended well and still has its Python."""
    return bool(stamp) and stamp["root"] == str(ROOT) and stamp["python"] == interpreter()


def read_stamp() -> dict[str, Any]:
    """What `.venv` was made from; empty when it is absent or was not finished."""
    try:
        return json.loads(STAMP.read_text())
    except (FileNotFoundError, ValueError):  # absent, or a writer was killed: not trusted
        return {}


def interpreter() -> str | None:
    """The system Python that `.venv` rests on; None when it is gone."""
    return str(PYTHON.resolve()) if PYTHON.exists() else None


def digest(lock: str) -> str:
    """The SHA-256 of the lock files that `lock` installs from."""
    files = [ROOT / "requirements" / f"{name}.lock" for name in ("build", lock)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


@contextlib.contextmanager
def exclusive() -> Iterator[IO[bytes]]:
    """Lets one call at a time change `.venv`; gives the file that holds the lock."""
    if ENVIRONMENT.is_dir() and any(ENVIRONMENT.iterdir()) and not STAMP.exists():
        raise SetupError(
            f"{ENVIRONMENT} was not made by this command, which therefore leaves it alone. Move it "
            "away; or install modelpatch in it and call `python -m launch.train` there."
        )
    ENVIRONMENT.mkdir(exist_ok=True)
    STAMP.touch()  # first: it says whose folder this is
    # Its owner alone may open it: whoever can read a file can lock it.
    with open(os.open(HELD, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another call that is making .venv ...", file=sys.stderr, flush=True)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield held


def install(lock: str, held: IO[bytes]) -> None:
    """Makes or updates `.venv`, and writes the stamp last; the caller holds the file lock `held`.

    An update that fails before it changes anything, for want of a network say, leaves the stamp as
    it was.
    """
    before, uv, progress = read_stamp(), find_uv(), Progress()
    source = f".venv from requirements/{lock}.lock with {'uv' if uv else 'pip'}"
    STAMP.write_bytes(b"")
    if is_whole(before) and (uv or has_pip()):
        progress.say(f"updating {source}", whole=True)
        digests = {name: old for name, old in before["locks"].items() if old == digest(name)}
        unchanged = contents()
    else:
        progress.say(f"making {source}", whole=True)
        make_empty_environment(uv, held, progress)
        digests, unchanged = {}, set()
    try:
        install_packages(uv, lock, held, progress)
    except SetupError:
        if unchanged and contents() == unchanged:
            write_stamp(before)
        raise
    # The test lock holds every pin of the train lock, so it serves both.
    served = (lock, "train") if lock == "test" else (lock,)
    digests |= {name: digest(name) for name in served}
    write_stamp({"root": str(ROOT), "python": interpreter(), "locks": digests})
    packages = len([*ENVIRONMENT.glob("lib/python*/site-packages/*.dist-info")])
    progress.say(f".venv is ready with {packages} packages", whole=True)


def find_uv() -> list[str]:
    """The start of every command of uv's; empty where it is not on PATH.

    It stands at the root of all folders: in this checkout it would read pyproject.toml, and add to
    the locks what that constrains, which has no hashes.
    """
    uv = shutil.which("uv")
    return [uv, "--directory", "/"] if uv else []


def has_pip() -> bool:
    """Whether `.venv` holds pip, which uv does not put there."""
    return any(ENVIRONMENT.glob("lib/python*/site-packages/pip"))


def make_empty_environment(uv: list[str], held: IO[bytes], progress: "Progress") -> None:
    """Puts an empty virtual environment in place. Raises SetupError without uv and `ensurepip`."""
    if not uv and importlib.util.find_spec("ensurepip") is None:
        raise SetupError(
            f"the Python at {sys.executable} comes without `ensurepip`, so it cannot make a "
            "virtual environment. On Debian and Ubuntu: `apt install python3-venv`; or install uv."
        )
    for entry in ENVIRONMENT.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry not in (STAMP, HELD):
            entry.unlink()
    if uv:
        make = [*uv, "venv", "--allow-existing", "--python", sys.executable]
    else:
        make = [sys.executable, "-I", "-m", "venv"]
    run([*make, str(ENVIRONMENT)], held, progress)


def install_packages(uv: list[str], lock: str, held: IO[bytes], progress: "Progress") -> None:
    """Installs what a lock pins, each checked against its hash, and this checkout with it."""
    if uv:
        start = [*uv, "pip", "install", "--python", str(PYTHON)]
    else:
        start = [str(PYTHON), "-Iu", "-m", "pip", "install", "--no-input", "--use-pep517"]

    def install_pinned(name: str, *how: str) -> None:
        pins = ROOT / "requirements" / f"{name}.lock"
        wheels = ["--only-binary", ":all:", "--no-binary", ",".join(WITHOUT_WHEEL)]
        pinned = ["--require-hashes", "--requirement", str(pins)]
        run([*start, *how, *wheels, *pinned], held, progress)

    if lock == "converter":
        # What it says it needs contradicts the test lock; it converts without (pyproject.toml).
        install_pinned(lock, "--no-deps")
        return
    # The backend comes first, so that what has no wheel is built with the pinned one.
    install_pinned("build")
    install_pinned(lock, "--no-build-isolation")
    checkout = ["--no-build-isolation", "--no-deps", "--editable", str(ROOT)]
    run([*start, *checkout], held, progress)


def contents() -> set[tuple[str, int, int]]:
    """Path, size and time of each installed file, but for those that running programs write."""
    found = set()
    for folder, _, names in os.walk(ENVIRONMENT / "lib"):
        for name in names if os.path.basename(folder) != "__pycache__" else ():
            status = os.lstat(path := os.path.join(folder, name))
            found.add((path, status.st_size, status.st_mtime_ns))
    return found


def write_stamp(content: dict[str, Any]) -> None:
    """Says what `.venv` now holds; from here on it is trusted."""
    with open(STAMP, "w") as stamp:
        json.dump(content, stamp, indent=1)
        stamp.flush()
        os.fsync(stamp.fileno())


def run(command: list[str], held: IO[bytes], progress: "Progress") -> None:
    """Runs `command`, which changes `.venv`, and says how far it is; raises SetupError."""
    with open(LOG, "wb") as log:
        # That file is standard input because all children of children inherit it, and with it the
        # lock: should this process be killed, no other touches `.venv` before they have ended.
        process = subprocess.Popen(command, stdin=held, stdout=log, stderr=subprocess.STDOUT)
    while process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        progress.say(last_line(LOG.read_text(errors="replace")))
    if process.returncode:
        progress.say("failed", whole=True)
        end = "\n".join(LOG.read_text(errors="replace").splitlines()[-12:])
        raise SetupError(
            f"`{' '.join(command)}` failed. All it said is in {LOG}; the end of it:\n{end}\n"
            "The next call tries again. A package index must be within reach; uv, which is used "
            "where it is on PATH, reads none of pip's settings."
        )


def last_line(output: str) -> str:
    """The newest line of what an installer printed, cut to fit one line of a terminal."""
    return (output.splitlines() or ["preparing"])[-1][:70]


class Progress:
    """Says what happens after how many seconds: on one changing line, or on few whole ones."""

    def __init__(self) -> None:
        self.start = self.said = time.monotonic()

    def say(self, text: str, whole: bool = False) -> None:
        now = time.monotonic()
        line = f"  [{now - self.start:3.0f} s] {text}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="\n" if whole else "", file=sys.stderr, flush=True)
        elif whole or now - self.said >= SECONDS_BETWEEN_LINES:
            self.said = now
            print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
