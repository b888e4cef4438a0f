"""What a machine's processor is called, since ratios differ from one to another."""

import pathlib
import platform

TOLD = pathlib.Path("/proc/cpuinfo")


def processor(told: pathlib.Path = TOLD) -> str:
    """The first processor's name, with family and model where Linux tells: clouds hide the name.

    `told` is Linux' list of processors; without it the platform is asked.
    """
    try:
        first = told.read_text().split("\n\n")[0]
    except OSError:
        return platform.processor() or platform.machine()
    known = {
        name.strip(): value.strip()
        for name, _, value in (line.partition(":") for line in first.splitlines())
    }
    name = known.get("model name") or platform.machine()
    if "cpu family" not in known:
        return name
    return f"{name} (family {known['cpu family']}, model {known.get('model', '?')})"
