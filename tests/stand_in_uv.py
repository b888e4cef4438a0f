"""Stands in for uv where that is not installed, with what the launcher asks of it.

`test_launcher` puts it on a PATH as `uv`. It has only the wheels in UV_FIND_LINKS, and adds each
call's arguments to the file UV_CALLS.
"""

import argparse
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile


def main(arguments: list[str]) -> None:
    with open(os.environ["UV_CALLS"], "a") as calls:
        calls.write(json.dumps(arguments) + "\n")
    parser = argparse.ArgumentParser()
    parser.add_argument("--directory", required=True)
    verbs = parser.add_subparsers(dest="verb", required=True)
    venv = verbs.add_parser("venv")
    venv.add_argument("--allow-existing", action="store_true", required=True)
    venv.add_argument("--python", required=True)
    venv.add_argument("folder")
    pip = verbs.add_parser("pip")
    pip.add_argument("install", choices=["install"])
    pip.add_argument("--python", required=True, type=pathlib.Path)
    for flag in ("--require-hashes", "--no-deps", "--no-build-isolation"):
        pip.add_argument(flag, action="store_true")
    for flag in ("--only-binary", "--no-binary"):
        pip.add_argument(flag)
    pip.add_argument("--requirement", type=pathlib.Path)
    pip.add_argument("--editable", type=pathlib.Path)
    told = parser.parse_args(arguments)
    if told.verb == "venv":
        subprocess.run([told.python, "-I", "-m", "venv", "--without-pip", told.folder], check=True)
    elif told.editable is not None:
        (site_packages(told.python) / "modelpatch.pth").write_text(f"{told.editable}\n")
        (site_packages(told.python) / "modelpatch-0.dist-info").mkdir(exist_ok=True)
    else:
        for line in told.requirement.read_text().splitlines():
            install(line, told.python, told.require_hashes)


def install(line: str, python: pathlib.Path, checked: bool) -> None:
    """Installs what one line of a lock pins: `demo==1.0 ; marker --hash=sha256:...`."""
    pin, _, rest = line.partition(" ")
    name, _, version = pin.partition("==")
    there = site_packages(python) / f"{name}-{version}.dist-info"
    if there.exists() or "sys_platform == 'other'" in rest:
        return
    wheels = pathlib.Path(os.environ["UV_FIND_LINKS"].removeprefix("file://").replace("%20", " "))
    wheel = wheels / f"{name}-{version}-py3-none-any.whl"
    if not wheel.exists():
        sys.exit(f"error: No solution found: there is no version of {pin}")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if checked and rest.rpartition("sha256:")[2] != digest:
        sys.exit(f"error: Hash mismatch for {pin}")
    for old in site_packages(python).glob(f"{name}-*.dist-info"):
        shutil.rmtree(old)
    # As uv does: a version written in the same second and of the same size would pass for the old.
    for compiled in (site_packages(python) / "__pycache__").glob(f"{name}.*.pyc"):
        compiled.unlink()
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site_packages(python))


def site_packages(python: pathlib.Path) -> pathlib.Path:
    return next((python.parent.parent / "lib").glob("python*/site-packages"))


if __name__ == "__main__":
    main(sys.argv[1:])
