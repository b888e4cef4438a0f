"""The flag `--trusted`, of every command that checks signatures."""

from absl import flags

TRUSTED = flags.DEFINE_list(
    "trusted", None, "Public keys to trust: files, or folders of nothing else, with commas between."
)
