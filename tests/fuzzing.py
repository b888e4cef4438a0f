"""What the coverage-guided fuzzers have in common: `fuzz_*.py` beside the tests of what they read.

    python -m tests.store.fuzz_reader out/fuzz/patches -max_total_time=600

Each begins with files that are right and with what earlier calls found worth keeping in the
folder's `corpus`, so that a call goes on where the one before was stopped or killed. The first
input that breaks what must be true of all ends the run and lies in `found`. Further flags are
libFuzzer's. Needs Atheris: CONTRIBUTING.md says how it is installed.
"""

import pathlib
import sys
import warnings
from collections.abc import Callable, Iterable

import atheris

Mutate = Callable[[bytes, int, int], bytes]  # (input, most bytes, seed) -> another input


def run(
    arguments: list[str],
    one: Callable[[bytes], None],
    seeds: Iterable[bytes],
    largest: int,
    mutate: Mutate | None = None,
    tokens: Iterable[bytes] = (),
) -> None:
    """Gives `one` inputs until the time is over or it raises.

    Args:
      arguments: of the program: its name, the folder, and libFuzzer's flags.
      one: reads one input; raises where something is wrong.
      seeds: inputs to begin with.
      largest: bytes of an input.
      mutate: makes another input of one; by default libFuzzer's.
      tokens: what inputs are made of.
    """
    if len(arguments) < 2 or arguments[1].startswith("-"):
        sys.exit("name a folder to keep files in, out/fuzz say.")
    folder = pathlib.Path(arguments[1])
    corpus, found = folder / "corpus", folder / "found"
    for path in (corpus, found):
        path.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed_{number}").write_bytes(seed)
    flags = [f"-max_len={largest}", f"-artifact_prefix={found}/", *arguments[2:]]
    if words := [f'"{_escaped(token)}"\n' for token in tokens]:
        (folder / "tokens").write_text("".join(words))
        flags.append(f"-dict={folder / 'tokens'}")
    warnings.simplefilter("error")  # as in the tests
    own = {} if mutate is None else {"custom_mutator": mutate}
    atheris.Setup([arguments[0], str(corpus), *flags], one, **own)
    atheris.Fuzz()


def _escaped(token: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in token)
