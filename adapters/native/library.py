"""Compiles `gradients.cc` for this processor, and gives its functions to XLA."""

import ctypes
import functools
import hashlib
import importlib.metadata
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import tempfile

import jax

from adapters import files
from adapters.errors import ModelPatchError

SOURCE = pathlib.Path(__file__).with_name("gradients.cc")
COMPILERS = ("c++", "g++", "clang++")
FLAGS = ["-O3", "-std=c++17", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math"]
FUNCTIONS = ("norm_gradients", "kernel_gradients", "input_gradients")


class NativeCodeError(ModelPatchError):
    """C++ code cannot be compiled here, or cannot serve this run."""

    settings = ("native_gradients",)


@functools.cache
def register() -> None:
    """Makes the functions known to XLA, by the names `target` gives; a process does it once.

    The library is compiled for this processor and kept in the cache folder: another processor,
    compiler, jaxlib or source compiles anew. `CXX` chooses the compiler. Raises NativeCodeError.
    """
    built = _built()
    try:
        library = ctypes.cdll.LoadLibrary(str(built))
    except OSError as error:
        raise NativeCodeError(
            f"{built} cannot be loaded, {error}: delete it, and it is compiled anew; where "
            "files of that folder may not be run, choose another in MODELPATCH_CACHE."
        ) from error
    for name in FUNCTIONS:
        function = jax.ffi.pycapsule(getattr(library, target(name)))
        jax.ffi.register_ffi_target(target(name), function, platform="cpu")


def target(name: str) -> str:
    """What XLA calls a function."""
    return f"modelpatch_{name}"


def _built() -> pathlib.Path:
    command = _command()
    about = SOURCE.read_bytes(), repr((command, _version(command[0]), _processor())).encode()
    digest = hashlib.sha256(b"\0".join(about)).hexdigest()[:32]
    library = files.cache_directory() / "native" / f"{digest}.so"
    if not library.exists():
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            made = pathlib.Path(folder) / library.name
            _run([*command, str(SOURCE), "-o", str(made)])
            files.write_bytes(library, made.read_bytes())
    return library


def _command() -> list[str]:
    named = os.environ.get("CXX")
    compiler = shlex.split(named) if named else [*filter(shutil.which, COMPILERS)][:1]
    if not compiler:
        raise NativeCodeError(
            f"native gradients are compiled here, and none of {', '.join(COMPILERS)} is on PATH: "
            "install a C++ compiler, name one in CXX, or train without them."
        )
    here = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
    return [*compiler, *FLAGS, here, "-isystem", jax.ffi.include_dir()]


def _version(compiler: str) -> str:
    return _run([compiler, "--version"]) + importlib.metadata.version("jaxlib")


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise NativeCodeError(
            f"{command[0]} does not run: {error.strerror}. Name another compiler in CXX, or train "
            "without native gradients."
        ) from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in lines if "error" in line), lines[0] if lines else "no reason")
        raise NativeCodeError(
            f"{command[0]} cannot compile {SOURCE.name}: {said}. Name another compiler in "
            "CXX (GCC 9 and Clang 12 or newer will do), or train without native gradients."
        )
    return done.stdout


def _processor() -> str:
    """What the compiler makes code for: the processor's instructions."""
    try:
        told = pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() + platform.machine()
    return "".join(line for line in told if line.startswith(("model name", "flags", "Features")))
