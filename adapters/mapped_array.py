"""An array larger than memory should hold: in a file without a name, mapped."""

import math
import os
import pathlib
import tempfile
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from adapters import files


def mapped_array(
    shape: Sequence[int], dtype: npt.DTypeLike, folder: str | os.PathLike[str]
) -> np.ndarray:
    """Zeros in a file of `folder`, which nobody sees there and which goes with the process.

    Raises NotWrittenError where the disk has no room for all of it: a page that could not be
    written later would end the process.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    with files.writing(pathlib.Path(folder)), tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, size)
        return np.memmap(file, dtype, "r+", shape=tuple(shape))
