"""A flag that takes a list of tasks, with settings in brackets where they have some."""

import csv
import io
from collections.abc import Sequence

from absl import flags

from tasks import spelling

flags.disclaim_key_flags()  # a flag belongs to the module that asks for it


class _Parser(flags.ListParser):
    """A comma between brackets of settings parts nothing; others are quoted as in CSV files."""

    def parse(self, argument: str | list[str]) -> list[str]:
        return spelling.split(super().parse(argument))


def define(meaning: str) -> flags.FlagHolder[list[str]]:
    """The flag `--tasks`."""
    return flags.DEFINE(_Parser(), "tasks", [], meaning, serializer=flags.CsvListSerializer(","))


def joined(tasks: Sequence[str]) -> str:
    """What the flag takes for these tasks."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(tasks)
    return line.getvalue()
