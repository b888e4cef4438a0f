"""The flag `--store`, of every command that installs patches or answers with installed ones."""

from absl import flags

STORE = flags.DEFINE_string("store", None, "Folder of installed patches.")
