"""The decathlon suite, end to end, over stand-in data in the official layout."""

import csv
import os
import socket
import subprocess
import sys

import pytest

from adapters.experiment import training_run
from tasks import decathlon, registry
from tests.launch import small
from tests.tasks.stand_in import write_stand_in

SECONDS = 600


def start(index, port, flags):
    """One of two processes of the command, with a device of its own."""
    device = "--xla_force_host_platform_device_count=1"
    return subprocess.Popen(
        [
            *(sys.executable, "-P", "-m", "tests.launch.small", "--tasks=decathlon", *flags),
            *(f"--coordinator=127.0.0.1:{port}", "--processes=2", f"--process={index}"),
        ],
        env={**os.environ, "PYTHONPATH": os.getcwd(), "XLA_FLAGS": device},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_all_ten_domains_train_and_predict_on_two_processes(tmp_path):
    """By the command of docs/cluster.md."""
    write_stand_in(tmp_path / "data", examples_per_split=3)
    weights, out = small.write_backbone(tmp_path / "narrow.safetensors"), tmp_path / "out"
    flags = [
        *("--backbone=narrow", f"--weights={weights}", f"--data_dir={tmp_path / 'data'}"),
        *("--groups=10", "--examples=4", "--size=32", "--steps=2", "--validations=0"),
        *(f"--out={out}", "--resume"),
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [start(index, port, flags) for index in range(2)]
    (said, log), (silent, other) = (each.communicate(timeout=SECONDS) for each in processes)
    assert [process.returncode for process in processes] == [0, 0], log + other

    assert "Decathlon score on validation" in said
    assert "Decathlon" not in silent  # the main process alone reports
    tasks = registry.resolve(["decathlon"])
    assert sum(len(task.labels) for task in tasks) == 3128
    assert len(list(out.glob("*.patch"))) == 10
    with open(out / "results.csv") as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"validation", ""}
    for task in tasks:
        domain = task.name.removeprefix("decathlon_")
        with open(out / "predictions" / f"{task.name}.csv") as file:
            answers = list(csv.DictReader(file))
        assert [a["name"] for a in answers] == [f"{domain}/test/{n}.jpg" for n in range(3)]
        assert all(0 <= int(a["label"]) < decathlon.DOMAINS[domain].classes for a in answers)


def test_data_that_is_not_prepared_is_told_how_to_prepare(tmp_path):
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    settings = small.settings(weights, groups=10, data_dir=str(tmp_path / "nothing"))
    with pytest.raises(decathlon.DataNotPreparedError, match="tfds build visual_domain_decathlon"):
        training_run.run(registry.resolve(["decathlon"]), settings, tmp_path / "out", "a test")
