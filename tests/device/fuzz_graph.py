"""Coverage-guided fuzzing of the reader of exported graphs; not part of the tests.

    python -m tests.device.fuzz_graph out/fuzz/graphs -max_total_time=600

Whatever is changed in a file, it is given a right digest, so that what is tested are the checks
behind it. A file must be refused by GraphFileError, or hold the weights that it names.
"""

import json
import pathlib
import random
import sys
import tempfile

import atheris

with atheris.instrument_imports(include=["adapters.runtime", "adapters.fingerprint"]):
    from adapters.fingerprint import fingerprint
    from adapters.runtime import graph_file
    from tests import fuzzing
    from tests.device import exported
    from tests.device.changed_graphs import altered, described, resealed, saying

LARGEST = 2**21  # bytes of a file


def one(content: bytes) -> None:
    """Reads one file."""
    PATH.write_bytes(content)
    try:
        graph = graph_file.read_graph(PATH)
    except graph_file.GraphFileError:
        return
    assert not graph.is_whole or fingerprint(graph.weights) == graph.fingerprint
    assert graph.shapes.keys() == graph.weights.keys()


def mutate(content: bytes, most: int, seed: int) -> bytes:
    """Another file of at most `most` bytes, sealed."""
    chosen = random.Random(seed)
    try:
        header, tail = described(content)
        if chosen.random() < 0.6:
            changed = saying(content, altered(header, chosen))
        elif chosen.random() < 0.7:
            text = json.dumps(header).encode()
            text = atheris.Mutate(text, len(text) + 64)
            beside = len(text).to_bytes(8, "little") + text + tail
            changed = resealed(beside, len(beside), content)
        else:
            beside = atheris.Mutate(tail, len(tail) + 64)
            changed = resealed(beside, chosen.choice([0, 7, 8, len(beside), 2**40]), content)
    except Exception:  # it is no graph to take apart any more
        return atheris.Mutate(content, most)
    return changed if len(changed) <= most else content


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        PATH = pathlib.Path(folder) / "fuzz.tflite"
        seeds = []
        for graph in (exported.graph(), exported.int8_graph()):
            graph_file.write_graph(PATH, graph)
            seeds.append(PATH.read_bytes())
        fuzzing.run(sys.argv, one, seeds, LARGEST, mutate)
