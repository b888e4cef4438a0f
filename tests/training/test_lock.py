import os
import signal
import stat
import subprocess
import sys

import pytest

from adapters.training import lock

HOLD = """
import sys, time
from adapters.training.lock import lock
with lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_until_the_first_ends(tmp_path):
    folder = tmp_path / "new" / "folder"
    assert not lock.is_held(folder)
    with lock.lock(folder):
        assert lock.is_held(folder)
        with (
            pytest.raises(lock.FolderInUseError, match=f"process {os.getpid()}.*{folder}"),
            lock.lock(folder),
        ):
            pass
        with lock.lock(tmp_path / "other"):
            pass
    assert not lock.is_held(folder)
    with lock.lock(folder):
        pass


def test_others_cannot_open_the_lock_and_so_cannot_hold_it(tmp_path):
    (tmp_path / ".lock").touch(0o644)  # of a run begun before
    with lock.lock(tmp_path):
        assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o600


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(lock.FolderInUseError, match=f"process {holder.pid}"),
            lock.lock(tmp_path),
        ):
            pass
        holder.send_signal(signal.SIGKILL)
    with lock.lock(tmp_path):
        pass
