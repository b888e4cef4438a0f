"""The decathlon suite, end to end, over stand-in data in the official layout."""

import csv

import pytest

from adapters.experiment import results, training_run
from tasks import decathlon, registry
from tests.launch import small
from tests.tasks.stand_in import write_stand_in


def test_all_ten_domains_train_and_predict(tmp_path):
    write_stand_in(tmp_path / "data", examples_per_split=3)
    weights = small.write_backbone(tmp_path / "narrow.safetensors")
    settings = small.settings(weights, groups=10, data_dir=str(tmp_path / "data"))
    tasks = registry.resolve(["decathlon"])
    assert sum(len(task.labels) for task in tasks) == 3128
    out = tmp_path / "out"

    rows = training_run.run(tasks, settings, out, "a test")

    assert len(list(out.glob("*.patch"))) == 10
    assert all(row.test_accuracy is None for row in rows)
    assert "Decathlon score on validation" in results.summary(rows)
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
