"""The README's way from a folder to an answer, as printed, in a checkout that was just fetched.

Opt-in, since it installs everything anew: MODELPATCH_FIRST_DAY=1. It needs npm, and a package index
within reach.
"""

import os
import re
import shutil
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.imports import ROOT

pytestmark = pytest.mark.skipif(
    not os.environ.get("MODELPATCH_FIRST_DAY"), reason="opt-in: MODELPATCH_FIRST_DAY=1"
)

SECONDS = 600  # for the six commands, on two cores, where the package index is near
NOT_FETCHED = (".git", ".venv", "node_modules", "out", "__pycache__", ".*_cache")


def commands() -> list[str]:
    """Those under the README's heading, in their order."""
    section = (ROOT / "README.md").read_text().split("## From your own folder to a device\n")[1]
    (printed, *_) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return printed.splitlines()


def drawing(generator: np.random.Generator, kind: str) -> Image.Image:
    """A photograph's stand-in: a disc or a box of any colour, anywhere on noise."""
    pixels = generator.normal(128, 40, (180, 240, 3)).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    left, top = generator.integers(10, 90, 2).tolist()
    side = int(generator.integers(50, 80))
    pen = ImageDraw.Draw(image)
    colour = tuple(generator.integers(0, 256, 3).tolist())
    draw = {"discs": pen.ellipse, "boxes": pen.rectangle}[kind]
    draw((left, top, left + side, top + side), fill=colour)
    return image


@pytest.fixture
def checkout(tmp_path):
    """A checkout with a folder of pictures in it, and one that is in no folder: a disc."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*NOT_FETCHED))
    generator = np.random.default_rng(0)
    for kind in ("boxes", "discs"):
        folder = root / "photographs" / kind
        folder.mkdir(parents=True)
        for number in range(60):
            drawing(generator, kind).save(folder / f"{number}.jpg", quality=90)
    drawing(generator, "discs").save(root / "new.jpg", quality=90)
    return root


def test_six_commands_from_a_folder_to_an_answer(checkout, tmp_path):
    printed = commands()
    assert len(printed) == 6
    surroundings = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    surroundings["MODELPATCH_CACHE"] = str(tmp_path / "cache")
    surroundings["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / "compiled")
    (before,) = re.findall(r"# after `(.+)`$", printed[-1])
    said, start = [], time.monotonic()
    for command in [*printed[:-1], before, printed[-1]]:
        ended = subprocess.run(
            ["sh", "-c", command],
            cwd=checkout,
            env=surroundings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS - (time.monotonic() - start),
        )
        assert ended.returncode == 0, f"{command}\n{ended.stdout}"
        said.append(ended.stdout)
        print(f"{time.monotonic() - start:4.0f} s: {command}", file=sys.stderr, flush=True)
    answer = said[printed.index(next(line for line in printed if "launch/answer" in line))]
    assert re.search(r"^new\.jpg: discs \(\d+\.\d%\)$", answer, re.M), answer
    assert (checkout / "site" / "index.html").is_file()
