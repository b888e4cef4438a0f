"""Coverage-guided fuzzing of the patch reader, for as long as you like; not part of the tests.

    python -m tests.store.fuzz_reader out/fuzz -max_total_time=600

It begins with the committed files and with what earlier calls found worth keeping in
`out/fuzz/corpus`, so that a call goes on where the one before was stopped or killed. Every file of
it is a patch file: most are changed inside and sealed again (`mutated`), and some byte by byte.
What must be true of reading each is in `reading`; the first that breaks it ends the run and lies in
`out/fuzz/found`, to be kept in `tests/data/patches`. Further flags are libFuzzer's. Needs Atheris:
CONTRIBUTING.md says how it is installed.
"""

import contextlib
import pathlib
import random
import sys
import tracemalloc
import warnings

import atheris

with atheris.instrument_imports(include=["adapters.store"]):
    from adapters.store import errors
    from tests.store import make_kind_patches, make_patches
    from tests.store.mutated import sealed, take_apart
    from tests.store.reading import refused_or_the_same

LARGEST = 2**16  # bytes of a file: no more is needed to reach every line


def one(content: bytes) -> None:
    """Reads one file."""
    try:
        refused_or_the_same(content, make_kind_patches.SHAPES)
    except errors.PatchFileError:
        return


def mutate(content: bytes, most: int, seed: int) -> bytes:
    """Another file of at most `most` bytes."""
    chosen = random.Random(seed)
    changed = b""
    if chosen.random() < 0.9:
        with contextlib.suppress(Exception):  # it is no patch to take apart any more
            changed = sealed(*take_apart(content), chosen)
    return changed if 0 < len(changed) <= most else atheris.Mutate(content, most)


def main(arguments: list[str]) -> None:
    """Runs until the time is over or something is found."""
    if len(arguments) < 2 or arguments[1].startswith("-"):
        sys.exit("name a folder to keep files in: python -m tests.store.fuzz_reader out/fuzz")
    folder = pathlib.Path(arguments[1])
    corpus, found = folder / "corpus", folder / "found"
    for path in (corpus, found):
        path.mkdir(parents=True, exist_ok=True)
    flags = [f"-max_len={LARGEST}", f"-artifact_prefix={found}/", *arguments[2:]]
    tracemalloc.start()
    warnings.simplefilter("error")  # as in the tests
    atheris.Setup(
        [arguments[0], str(corpus), str(make_patches.FOLDER), *flags], one, custom_mutator=mutate
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
