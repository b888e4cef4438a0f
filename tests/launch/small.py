"""Runs small enough for a test: the narrow backbone, folders of coloured squares.

`python -m tests.launch.small FLAGS` is `launch/train` with the narrow backbone known.
"""

import contextlib
import pathlib
from collections.abc import Iterator

import jax
import numpy as np
import pytest
from PIL import ExifTags, Image

from adapters.backbones.checkpoint import Checkpoint, write_checkpoint
from adapters.experiment import training_run
from adapters.experiment.settings import Settings
from adapters.training.recipe import Recipe
from launch import train
from tasks import folder
from tests import narrow
from tests.launch import narrow_command


def write_backbone(path: pathlib.Path) -> pathlib.Path:
    """The narrow backbone as a checkpoint file."""
    checkpoint = Checkpoint(
        table="narrow",
        weights=jax.tree.map(np.asarray, narrow.weights()),
        head=None,
        padding="same",
        epsilon=narrow.EPSILON,
        mean=narrow.PIXELS[0],
        std=narrow.PIXELS[1],
        label_offset=0,
        source="made for a test",
        licence="none",
    )
    write_checkpoint(path, checkpoint)
    return path


def write_folder(path: pathlib.Path, classes: int, images: int = 24) -> pathlib.Path:
    """A sub-folder a class, each of noisy squares of its own colour."""
    generator = np.random.default_rng(classes)
    for label in range(classes):
        folder = path / f"class_{label}"
        folder.mkdir(parents=True)
        colour = np.full((20, 24, 3), 255 * label // (classes - 1))
        for number in range(images):
            pixels = np.clip(colour + generator.integers(-60, 60, colour.shape), 0, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:03d}.png")
    return path


def save_as_people_do(path: pathlib.Path) -> None:
    """Saves a folder's images anew, each fifth in one of the ways in which files differ."""
    for number, name in enumerate(sorted(path.rglob("*.png"))):
        image = Image.open(name).convert("RGB")
        name.unlink()
        match number % 5:
            case 0:
                image.save(name)
            case 1:
                turned = Image.Exif()
                turned[ExifTags.Base.Orientation] = 6
                image.resize((51, 67)).save(name.with_suffix(".jpg"), exif=turned)
            case 2:
                image.quantize(16).save(name)
            case 3:
                image.convert("CMYK").save(name.with_suffix(".jpeg"))
            case _:
                image.putalpha(160)
                image.resize((90, 33)).save(name)


def settings(weights: pathlib.Path, **changes: object) -> Settings:
    """Settings of a run of a second or two."""
    recipe = {"steps": 12, "patch_rate": 3e-3, "head_rate": 1e-2, **changes.pop("recipe", {})}
    values = {
        "backbone": "narrow",
        "weights": str(weights),
        "patch": "scale_bias",
        "size": narrow.SIZE,
        "groups": 2,
        "examples": 4,
        "sampling": "uniform",
        "scheduler": "unit",
        "gradients": "sum",
        "references": None,
        "seed": 0,
        "data_dir": None,
        "augmentation": "none",
        "workers": 0,
        "encoding": "float32",
        "train_shared": False,
    }
    return Settings(**{**values, **changes}, recipe=Recipe(**recipe))


@contextlib.contextmanager
def splits_opened(out: pathlib.Path) -> Iterator[dict[str, set[str]]]:
    """Notes the splits that each run opens, by the run's folder below `out`."""
    opened: list[str] = []
    runs: dict[str, set[str]] = {}
    with pytest.MonkeyPatch.context() as patch:
        open_split, run = folder.Folder.open, training_run.run

        def noting_open(self, task, split, data_dir):
            opened.append(split)
            return open_split(self, task, split, data_dir)

        def noting_run(tasks, settings, directory, *arguments, **options):
            opened.clear()
            rows = run(tasks, settings, directory, *arguments, **options)
            runs[directory.relative_to(out).as_posix()] = set(opened)
            return rows

        patch.setattr(folder.Folder, "open", noting_open)
        patch.setattr(training_run, "run", noting_run)
        yield runs


if __name__ == "__main__":
    narrow_command.run(train.main)
