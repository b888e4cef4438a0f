"""A side of a benchmark that computes nothing: `python -m tests.launch.fake_side`."""

from adapters.benchmarking import worker


def prepare(case):
    """A case of 16 pixels fails; others print to standard output, as libraries may."""
    if case.size == 16:
        raise ValueError("too small")
    print("a library says something")
    return worker.Prepared(
        run=lambda: print("and again"),
        facts=lambda: {"values trained": 7.0, "programs compiled": float(case.size)},
    )


if __name__ == "__main__":
    worker.serve("Fake 1.0", prepare)
