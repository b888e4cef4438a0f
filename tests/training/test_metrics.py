import json
import math

import jax.numpy as jnp
import numpy as np
import pytest

from adapters.training import metrics


def lines(folder):
    return (folder / metrics.FILE).read_text().splitlines()


def board(folder) -> list[tuple[int, str, float]]:
    """Every scalar in TensorBoard's files, read from their documented framing.

    A record is: length (8 bytes), checksum (4), protocol buffer, checksum (4).
    """
    from tensorboardX.proto import event_pb2

    found = []
    for path in sorted((folder / "tensorboard").iterdir()):
        data = path.read_bytes()
        while data:
            length = int.from_bytes(data[:8], "little")
            event = event_pb2.Event.FromString(data[12 : 12 + length])
            found += [(event.step, v.tag, v.simple_value) for v in event.summary.value]
            data = data[16 + length :]
    return found


def test_a_record_is_one_line_and_is_there_at_once(tmp_path):
    with metrics.MetricsWriter(tmp_path) as writer:
        writer.write(10, {"train/loss/dtd": 0.5, "train/loss/svhn": np.float32(0.25)})
        assert lines(tmp_path) == ['{"step": 10, "train/loss/dtd": 0.5, "train/loss/svhn": 0.25}']
        writer.write(10, {"validation/accuracy/dtd": jnp.float32(0.75)})
    assert [json.loads(line)["step"] for line in lines(tmp_path)] == [10, 10]
    assert metrics.read(tmp_path / metrics.FILE) == [
        (10, {"train/loss/dtd": 0.5, "train/loss/svhn": 0.25}),
        (10, {"validation/accuracy/dtd": 0.75}),
    ]
    assert board(tmp_path) == [
        (10, "train/loss/dtd", 0.5),
        (10, "train/loss/svhn", 0.25),
        (10, "validation/accuracy/dtd", 0.75),
    ]


def test_figures_that_are_not_finite_are_null(tmp_path):
    with metrics.MetricsWriter(tmp_path) as writer:
        writer.write(1, {"a": math.nan, "b": math.inf, "c": 1.0})
    assert lines(tmp_path) == ['{"step": 1, "a": null, "b": null, "c": 1.0}']
    (record,) = metrics.read(tmp_path / metrics.FILE)
    assert math.isnan(record.values["a"])
    assert math.isnan(record.values["b"])
    assert board(tmp_path)[1:] == [(1, "b", math.inf), (1, "c", 1.0)]


def test_a_resumed_log_is_the_log_of_an_unbroken_run(tmp_path):
    def write(folder, steps, resumed_from=None):
        with metrics.MetricsWriter(folder, resumed_from) as writer:
            for step in steps:
                writer.write(step, {"train/loss/dtd": 1 / step})

    write(tmp_path / "unbroken", range(1, 10))
    write(tmp_path / "broken", range(1, 8))
    with open(tmp_path / "broken" / metrics.FILE, "a") as file:
        file.write('{"step": 8, "train/lo')
    write(tmp_path / "broken", range(6, 10), resumed_from=5)
    assert lines(tmp_path / "broken") == lines(tmp_path / "unbroken")


def test_a_fresh_run_starts_afresh(tmp_path):
    for _ in range(2):
        with metrics.MetricsWriter(tmp_path) as writer:
            writer.write(0, {"a": 1.0})
    assert lines(tmp_path) == ['{"step": 0, "a": 1.0}']


def test_steps_only_grow(tmp_path):
    with metrics.MetricsWriter(tmp_path, resumed_from=7) as writer:
        with pytest.raises(metrics.MetricsError, match="step 6 comes after step 7"):
            writer.write(6, {})
        writer.write(7, {})


@pytest.mark.parametrize("damage", ["{", "[1]", '{"a": 1.0}', '{"step": 1, "a": "x"}'])
def test_a_damaged_line_is_named(tmp_path, damage):
    path = tmp_path / metrics.FILE
    path.write_text(f'{{"step": 1}}\n{damage}\n{{"step": 3}}\n')
    with pytest.raises(metrics.MetricsError, match="line 2 is not a record"):
        metrics.read(path)


def test_a_line_still_being_written_is_left_out(tmp_path):
    path = tmp_path / metrics.FILE
    path.write_text('{"step": 1, "a": 2.0}\n{"step": 2, "a"')
    assert metrics.read(path) == [(1, {"a": 2.0})]
