"""Wheels of one module, made without any tool; and a build backend, for a checkout in a test.

`test_launcher` copies this file into such a checkout, where pip calls `build_editable`.
"""

import base64
import hashlib
import pathlib
import zipfile
from typing import Any


def make_wheel(folder: pathlib.Path, name: str, version: str, file: str, text: str) -> str:
    """Writes a wheel whose only file is `file`, and returns the line of a lock that pins it."""
    info = f"{name}-{version}.dist-info"
    files = {
        file: text,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    rows = [f"{path},sha256={short_digest(content)}," for path, content in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,\n"])
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def short_digest(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def build_editable(
    wheel_directory: str,
    config_settings: Any = None,
    metadata_directory: str | None = None,
) -> str:
    """Makes the checkout that pip stands in importable: pip's hook for an editable install."""
    here = str(pathlib.Path.cwd())
    make_wheel(pathlib.Path(wheel_directory), "modelpatch", "0", "modelpatch.pth", f"{here}\n")
    return "modelpatch-0-py3-none-any.whl"
