"""Checks this checkout: lint, format, types, then tests; arguments go to pytest.

`launch/test` needs only a system Python; `launch/test -k store` runs the tests of that name.
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHECKS = (("ruff", "check"), ("ruff", "format", "--check"), ("mypy",))
TESTS = ("pytest", "--numprocesses=2", "--dist=loadfile", "--no-loadscope-reorder")


def main(arguments: list[str]) -> int:
    """Runs every check, whatever the earlier ones said; returns 0 when all are content."""
    commands = [*CHECKS, (*TESTS, *arguments)]
    failed = [command for command in commands if run(command)]
    for command in failed:
        print(f"launch/test: `{' '.join(command)}` failed", file=sys.stderr)
    return bool(failed)


def run(command: tuple[str, ...]) -> int:
    """Runs a module of this environment in the checkout; returns its exit status."""
    print("$", *command, flush=True)
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
