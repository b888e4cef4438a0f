"""The flag `--graph`, of every command that runs an exported backbone as a device does."""

from absl import flags

GRAPH = flags.DEFINE_string("graph", None, "The exported backbone, as launch/export wrote it.")
