"""Which flag a setting of the library is: its own name, but for these."""

FLAGS = {
    "directory": "out",
    "head_decay": "weight_decay",
    "head_rate": "head_learning_rate",
    "patch_rate": "patch_learning_rate",
    "shared_rate": "shared_learning_rate",
    "smoothing": "label_smoothing",
}


def flag_of(setting: str) -> str:
    """The flag's name, without its dashes."""
    return FLAGS.get(setting, setting)
