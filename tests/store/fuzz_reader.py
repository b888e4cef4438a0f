"""Coverage-guided fuzzing of the patch reader, for as long as you like; not part of the tests.

    python -m tests.store.fuzz_reader out/fuzz/patches -max_total_time=600

Every file is a patch file: most are changed inside and sealed again (`mutated`), and some byte by
byte. What must be true of reading each is in `reading`; one that breaks it is to be kept in
`tests/data/patches`.
"""

import contextlib
import random
import sys
import tracemalloc

import atheris

with atheris.instrument_imports(include=["adapters.store"]):
    from adapters.store import errors
    from tests import fuzzing
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


if __name__ == "__main__":
    tracemalloc.start()
    seeds = [path.read_bytes() for path in sorted(make_patches.FOLDER.iterdir()) if path.is_file()]
    fuzzing.run(sys.argv, one, seeds, LARGEST, mutate)
