import logging
import os
import pathlib
import subprocess
import sys
from typing import NamedTuple

import absl.logging
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from adapters.training import checkpoint, host_state

CONFIGURATION = {"tasks": ["dtd", "svhn"], "optimiser": {"name": "adam", "rate": 1e-3}}
BITS = np.array(
    [0x7FC00001, 0xFF800000, 0x80000000, 1], np.uint32
)  # A payload NaN, -inf, -0, tiny.


class Pair(NamedTuple):
    first: jax.Array
    second: dict[str, jax.Array]


def state(fill: float = 0.0) -> dict:
    """Like a run's: optax states, a key, a scalar, an empty array, structures of every kind."""
    rows = jnp.full((2, 3), fill, jnp.float32)
    with jax.numpy_dtype_promotion("standard"):
        adam = optax.adam(1e-3).init({"block_01/project/norm": {"scale": rows}})
    return {
        "optimiser": adam,
        "pair": Pair(rows, {"a/b": jnp.arange(4, dtype=jnp.uint32)}),
        "counts": (jnp.int32(7), [jnp.zeros((0, 5), jnp.float32), None]),
        "bits": jnp.asarray(BITS.view(np.float32)),
        "key": jax.random.key(3),
    }


def raw(leaf: jax.Array) -> bytes:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf).tobytes()


def same_bits(left, right) -> None:
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert (a.dtype, a.shape, raw(a)) == (b.dtype, b.shape, raw(b))


def test_round_trip_is_exact_to_the_bit(tmp_path):
    host = {
        "scheduler": {"state": 2**100, "credits": [0.1, float("inf")], "name": "söme"},
        "iterators": [b"\x00\xff", '{"next": 3}', None, True],
    }
    checkpoint.save(tmp_path, 30, state(0.1), host, CONFIGURATION)
    restored = checkpoint.restore(tmp_path, state(), CONFIGURATION)
    assert restored.step == checkpoint.latest(tmp_path) == 30
    assert restored.host == host
    same_bits(restored.arrays, state(0.1))
    assert raw(restored.arrays["bits"]) == BITS.tobytes()


@pytest.mark.parametrize("devices", [1, 2])
def test_arrays_take_the_sharding_of_the_template(tmp_path, devices):
    """Also where the number of devices changed in between."""
    mesh = jax.make_mesh((devices,), ("data",), devices=jax.devices()[:devices])
    place = {
        "split": jax.NamedSharding(mesh, jax.P("data")),
        "whole": jax.NamedSharding(mesh, jax.P()),
    }
    values = {"split": np.arange(8, dtype=np.float32), "whole": np.arange(3, dtype=np.int32)}
    other = jax.device_put(values, jax.devices()[1])
    checkpoint.save(tmp_path, 1, other, {}, {})
    template = jax.device_put({name: np.zeros_like(v) for name, v in values.items()}, place)
    arrays = checkpoint.restore(tmp_path, template, {}).arrays
    assert {name: array.sharding for name, array in arrays.items()} == place
    same_bits(arrays, values)


def test_an_uncommitted_template_gives_arrays_that_jit_may_move(tmp_path):
    checkpoint.save(tmp_path, 1, state(2.0), {}, {})
    arrays = checkpoint.restore(tmp_path, state(), {}).arrays
    assert not any(leaf.committed for leaf in jax.tree.leaves(arrays))
    there = jax.device_put(np.ones((2, 3), np.float32), jax.devices()[1])
    assert (arrays["pair"].first + there).device == jax.devices()[1]


def test_the_last_two_are_kept_and_leftovers_removed(tmp_path):
    leftover = tmp_path / ".step_00000007.abc"
    leftover.mkdir()
    (leftover / "part").write_bytes(b"part")
    (tmp_path / "notes.txt").write_text("mine")
    assert checkpoint.latest(tmp_path) is None
    for step in (10, 20, 99_999_999, 100_000_000):
        checkpoint.save(tmp_path, step, {"x": jnp.int32(step)}, {}, {})
    assert sorted(os.listdir(tmp_path)) == ["notes.txt", "step_100000000", "step_99999999"]
    assert checkpoint.restore(tmp_path, {"x": jnp.int32(0)}, {}).arrays["x"] == 100_000_000


def test_a_later_step_is_never_hidden_by_an_earlier_one(tmp_path):
    checkpoint.save(tmp_path, 10, {"x": jnp.int32(10)}, {}, {})
    checkpoint.save(tmp_path, 10, {"x": jnp.int32(11)}, {}, {})
    assert checkpoint.restore(tmp_path, {"x": jnp.int32(0)}, {}).arrays["x"] == 10
    with pytest.raises(checkpoint.CheckpointError, match=r"holds step 10.*later than step 9"):
        checkpoint.save(tmp_path, 9, {"x": jnp.int32(9)}, {}, {})


def test_another_configuration_is_refused_by_field(tmp_path):
    checkpoint.save(tmp_path, 5, state(), {}, CONFIGURATION)
    same = {"optimiser": {"rate": 1e-3, "name": "adam"}, "tasks": ("dtd", "svhn")}
    checkpoint.restore(tmp_path, state(), same)
    other = {"tasks": ["dtd"], "optimiser": {"name": "adam", "rate": 0.01}, "seed": 0}
    with pytest.raises(checkpoint.ConfigurationMismatchError) as caught:
        checkpoint.restore(tmp_path, state(), other)
    assert set(caught.value.differences) == {"optimiser.rate", "seed", "tasks"}
    for part in ("optimiser.rate was 0.001, is now 0.01", "seed was absent, is now 0", "step_0000"):
        assert part in str(caught.value)


def refusal(old, new):
    with pytest.raises(checkpoint.ConfigurationMismatchError) as caught:
        checkpoint.check_configuration(pathlib.Path("run.json"), old, new)
    return caught.value


def test_a_long_list_is_told_by_what_it_lost_and_gained():
    labels = [f"class {number}" for number in range(100)]
    said = str(refusal({"labels": labels}, {"labels": [*labels[1:], "zebra"]}))
    assert "labels lost 'class 0', gained 'zebra'. " in said
    said = str(refusal({"labels": labels}, {"labels": labels[::-1]}))
    assert "labels holds the same 100 in another order. " in said


def test_many_differences_are_counted():
    refused = refusal({f"setting_{number:02d}": 0 for number in range(20)}, {})
    assert "setting_11 was 0, is now absent; and 8 more. " in str(refused)
    assert len(refused.differences) == 20


def test_other_arrays_are_refused_by_name(tmp_path):
    checkpoint.save(tmp_path, 5, {"a": jnp.zeros((2, 3)), "b": jnp.int32(1)}, {}, {})
    with pytest.raises(checkpoint.CheckpointError) as caught:
        checkpoint.restore(tmp_path, {"a": jnp.zeros((4, 3)), "c": jnp.int32(1)}, {})
    for part in ("['a'] was 'float32[2, 3]', is now 'float32[4, 3]'", "['b']", "['c'] was absent"):
        assert part in str(caught.value)


def test_any_damaged_byte_or_file_is_found(tmp_path):
    checkpoint.save(tmp_path, 5, state(1.0), {"x": 1}, {})
    folder = tmp_path / "step_00000005"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    assert len(paths) > 5
    for path in paths:
        whole = path.read_bytes()
        flipped = bytearray(whole or b"x")
        flipped[len(flipped) // 2] ^= 1
        for damaged in (bytes(flipped), whole[:-1] if whole else b"xy", None):
            path.unlink() if damaged is None else path.write_bytes(damaged)
            with pytest.raises(checkpoint.DamagedCheckpointError, match="step_00000005"):
                checkpoint.restore(tmp_path, state(), {})
            path.write_bytes(whole)
    same_bits(checkpoint.restore(tmp_path, state(), {}).arrays, state(1.0))


def damage(folder):
    """A byte of an array's file, as a disk may lose it."""
    path = max(folder.glob("arrays/**/*"), key=lambda path: path.is_file() and path.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_a_damaged_checkpoint_is_left_out_for_the_one_before(tmp_path):
    template = {"x": jnp.float32(0)}
    for step in (10, 20):
        checkpoint.save(tmp_path, step, {"x": jnp.float32(step)}, {}, {})
    damage(tmp_path / "step_00000020")
    with pytest.warns(checkpoint.DamagedCheckpointWarning, match="step_00000020 is damaged .*10"):
        restored = checkpoint.restore(tmp_path, template, {})
    assert (restored.step, restored.arrays["x"]) == (10, 10)


def test_a_damaged_checkpoint_makes_way_for_the_next(tmp_path):
    for step in (10, 20, 15, 20):  # stopped between, after a resume from 10
        checkpoint.save(tmp_path, step, {"x": jnp.float32(step)}, {}, {})
        if step == 20:
            damage(tmp_path / "step_00000020")
    assert sorted(os.listdir(tmp_path)) == ["step_00000015", "step_00000020"]
    checkpoint.save(tmp_path, 20, {"x": jnp.float32(21)}, {}, {})
    assert checkpoint.restore(tmp_path, {"x": jnp.float32(0)}, {}).arrays["x"] == 21


def test_only_when_every_checkpoint_is_damaged_it_is_an_error(tmp_path):
    for step in (10, 20):
        checkpoint.save(tmp_path, step, {"x": jnp.float32(step)}, {}, {})
        damage(tmp_path / f"step_{step:08d}")
    with pytest.raises(
        checkpoint.DamagedCheckpointError, match=r"step_00000020: .*step_00000010: .*Overwrite"
    ):
        checkpoint.restore(tmp_path, {"x": jnp.float32(0)}, {})


def test_no_checkpoint_is_said(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match="holds no checkpoint"):
        checkpoint.restore(tmp_path / "none", state(), {})


@pytest.mark.parametrize(
    "value", [(1, 2), {3: "x"}, np.float32(1), {"$bytes": ""}], ids=lambda v: type(v).__name__
)
def test_host_values_that_would_change_are_refused(tmp_path, value):
    with pytest.raises(host_state.HostStateError, match=r"host\['at'\]\[0\]"):
        checkpoint.save(tmp_path, 1, {}, {"at": [value]}, {})
    assert checkpoint.latest(tmp_path) is None


def test_arrays_that_are_not_jax_arrays_are_refused(tmp_path):
    with pytest.raises(checkpoint.CheckpointError, match=r"arrays\['x'\] is a ndarray"):
        checkpoint.save(tmp_path, 1, {"x": np.zeros(2)}, {}, {})


def test_orbax_is_quiet_and_nothing_else_is(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="absl")
    checkpoint.save(tmp_path, 1, state(), {}, {})
    checkpoint.restore(tmp_path, state(), {})
    absl.logging.info("ours")
    assert caplog.messages == ["ours"]


# Imports once and forks for every kill: importing JAX takes longer than all the saves.
KILLED = """
import os, pathlib, random, signal, sys, time
import jax, jax.numpy as jnp, orbax.checkpoint, optax
from adapters.training import checkpoint, sealed

def save_on(directory, told):
    step = checkpoint.latest(directory) or 0
    while True:
        step += 1
        arrays = {"a": jnp.full((64, 64), step, jnp.float32), "b": (jnp.int32(step),)}
        checkpoint.save(directory, step, arrays, {"step": step}, {})
        os.write(told, b"%d\\n" % step)

directory, kills = pathlib.Path(sys.argv[1]), int(sys.argv[2])
chance = random.Random(0)
for _ in range(kills):
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        save_on(directory, writing)
    os.close(writing)
    said = os.read(reading, 100)
    time.sleep(chance.uniform(0.0, 0.15))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while more := os.read(reading, 4096):
        said += more
    found = checkpoint.latest(directory)
    assert sealed.damage(directory / f"step_{found:08d}") is None
    print(said.split()[-1].decode(), found, flush=True)
"""


def test_a_kill_at_any_moment_loses_no_checkpoint(tmp_path):
    root = pathlib.Path(checkpoint.__file__).parents[2]
    kills = 8
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(kills)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
    )
    pairs = [tuple(map(int, line.split())) for line in run.stdout.splitlines()]
    assert len(pairs) == kills
    assert all(found in (told, told + 1) for told, found in pairs)
    found = checkpoint.latest(tmp_path)
    template = {"a": jnp.zeros((64, 64), jnp.float32), "b": (jnp.int32(0),)}
    step, arrays, host, _ = checkpoint.restore(tmp_path, template, {})
    assert step == found == host["step"] == arrays["b"][0]
    assert (np.asarray(arrays["a"]) == found).all()
    checkpoint.save(tmp_path, step + 1, template, {}, {})
    assert len(list(tmp_path.glob("step_*"))) == 2
    assert not list(tmp_path.glob(".step_*"))


def test_a_checkpoint_of_another_format_is_refused(tmp_path, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(checkpoint, "FORMAT", checkpoint.FORMAT - 1)
        checkpoint.save(tmp_path, 1, state(), {}, CONFIGURATION)
    with pytest.raises(checkpoint.CheckpointError, match="Resume with the version that wrote it"):
        checkpoint.restore(tmp_path, state(), CONFIGURATION)
