"""`modelpatch COMMAND ...`: the commands of `launch/`, for who installed the package with pip."""

import pathlib
import runpy
import sys

OTHERS = {
    "__init__",
    "answered_images",
    "command",
    "console",
    "environment",
    "flag_names",
    "plain_output",
    "remedies",
    "test",
}


def commands() -> list[str]:
    """The commands: every module here that is one."""
    names = {path.stem for path in pathlib.Path(__file__).parent.glob("*.py")}
    return sorted(name for name in names - OTHERS if not name.endswith(("_flags", "_command")))


def main() -> None:
    """Becomes the command that the first argument names, with the arguments after it."""
    known = commands()
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in known:
        asked = name in ("-h", "--help", "help")
        said = f"modelpatch COMMAND ...; COMMAND --help says more. Commands: {', '.join(known)}."
        print(said, file=sys.stdout if asked else sys.stderr)
        sys.exit(0 if asked else 2)
    sys.argv = [f"modelpatch {name}", *sys.argv[2:]]
    # As in `launch/`: a folder called `tasks` where the user stands must not hide ours.
    sys.path = [path for path in sys.path if path not in ("", ".")]
    runpy.run_module(f"launch.{name}", run_name="__main__", alter_sys=True)
