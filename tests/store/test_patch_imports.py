import subprocess
import sys

_SCRIPT = """
import sys
from adapters.store import edits, installed, keys, parity, read, write
print(sorted({name.partition(".")[0] for name in sys.modules} & {"jax", "haiku", "optax", "PIL"}))
"""


def test_a_device_needs_no_jax():
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
