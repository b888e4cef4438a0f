"""Decodes images in a process of its own, which may be killed while it does.

    python -m adapters.serving.decoder

Its standard input is a socket, on which `decoding` asks: a line of JSON that says what is wanted
and how many bytes of an image follow. It answers in the same way, with pixels or an error. It ends
when the other side does. It starts quickly, since it imports nothing that an image does not need.
"""

import io
import json
import re
import signal
import socket
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from adapters import preprocessing as images
from adapters.errors import ModelPatchError
from adapters.preprocessing import Preprocessing
from adapters.serving.errors import TooMuchError

READY = b"\n"
# The head of a scan, with one to four components; entropy-coded data never looks like it.
_SCAN = re.compile(rb"\xff\xda\x00(?:\x08\x01|\x0a\x02|\x0c\x03|\x0e\x04)")
_JPEG = b"\xff\xd8"


class LaterError(ModelPatchError):
    """An image that takes more work than may be done here."""


def main() -> None:
    """Answers until nobody asks any more."""
    # Who started it ends it, once those who wait are answered: some managers signal all processes.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.socket(fileno=0) as other, other.makefile("rwb") as stream:
        stream.write(READY)
        stream.flush()
        while line := stream.readline():
            _answer(stream, json.loads(line))


def pixels(
    data: bytes, how: Preprocessing, most: int, scans: int, work: int | None = None
) -> tuple[np.ndarray, tuple[int, int]]:
    """The pixels [size, size, 3] uint8 of an image file, and its own width and height.

    Args:
      data: of the file.
      how: it becomes pixels.
      most: pixels that it may have, width times height.
      scans: that it may have if it is a JPEG: each goes over all pixels, however few its bytes.
      work: pixels that may be gone over, each as often as there are scans; any number by default.

    Raises TooMuchError or LaterError, before anything is decoded, or UnreadableImageError.
    """
    size = _checked_size(data, most)
    found = len(_SCAN.findall(data)) if data.startswith(_JPEG) else 0
    if found > scans:
        raise TooMuchError(
            f"the image has {found} scans; {scans} are allowed: save it as a JPEG that is not "
            "progressive."
        )
    if work is not None and size * max(1, found) > work:
        raise LaterError("the image is large.")
    image = images.decode(data, how.background)
    return images.prepare(image, how), image.size


def _answer(stream: io.BufferedRWPair, asked: dict[str, Any]) -> None:
    data = stream.read(asked["bytes"])
    how = Preprocessing.from_json(asked["how"])
    try:
        prepared, sides = pixels(data, how, asked["pixels"], asked["scans"], asked["work"])
        found = prepared.tobytes()
        said: dict[str, Any] = {"bytes": len(found), "sides": sides}
    except ModelPatchError as error:
        found, said = b"", {"error": type(error).__name__, "message": str(error), "bytes": 0}
    stream.write(json.dumps(said).encode() + b"\n" + found)
    stream.flush()


def _checked_size(data: bytes, most: int) -> int:
    """An image's pixels, by its header alone. Raises TooMuchError, or UnreadableImageError."""
    try:
        with Image.open(io.BytesIO(data), formats=images.FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise TooMuchError(f"the image is too large: {most:,} pixels are allowed.") from error
    except UnidentifiedImageError:
        raise images.UnreadableImageError("it is no image of a kind that can be read.") from None
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise images.UnreadableImageError(f"the image is damaged: {error}.") from error
    if width * height > most:
        raise TooMuchError(
            f"the image has {width} x {height} pixels; {most:,} are allowed: scale it down."
        )
    return width * height


if __name__ == "__main__":
    main()
