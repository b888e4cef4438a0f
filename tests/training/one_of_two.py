"""One of two processes that train together: `python -m tests.training.one_of_two PORT INDEX OUT`.

SIGTERM reaches the second one early in the run. Both stop, say so, and go on; then the first one is
killed while it validates the last step.
"""

import os
import pathlib
import signal
import sys

import jax

from adapters import files
from adapters.training import loop
from adapters.training.cluster import cluster
from adapters.training.interrupt import StoppedError
from tests.training.test_loop import STEPS, arguments, scores


def main(port: str, index: str, folder: str) -> None:
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    jax.config.update("jax_compilation_cache_dir", str(files.cache_directory() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    told = []

    def terminate(number: int) -> None:
        if index == "1" and not told:
            told.append(number)
            os.kill(os.getpid(), signal.SIGTERM)

    def validate(state) -> dict[str, float]:
        if state.step == STEPS:
            os.kill(os.getpid(), signal.SIGKILL)
        return scores(state)

    with cluster(f"127.0.0.1:{port}", 2, int(index)):
        given = arguments(pathlib.Path(folder), terminate, devices=2, validate=validate)
        for _ in range(2):
            try:
                loop.train(*given)
            except StoppedError as stopped:
                print(stopped, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
