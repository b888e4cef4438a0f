"""Names that become files and texts that are printed: what tasks and patch files both refuse."""

import re
import unicodedata

# No file system forbids such a name, hides it, or takes part of it for a folder.
_FILE_NAME = re.compile(r"""(?![. ])[^/\\:*?"<>|]{1,60}(?<![. ])""")
FILE_NAME_RULE = (
    'a file is named after it, so it has 1 to 60 characters, none of / \\ : * ? " < > |, and no '
    "dot or space at either end"
)


def is_file_name(name: str) -> bool:
    """Whether `name` may name a file on any system, as `FILE_NAME_RULE` says in words."""
    return _FILE_NAME.fullmatch(name) is not None and not has_control_characters(name)


def has_control_characters(text: str) -> bool:
    """Whether `text` holds characters that act on a terminal, or that JSON cannot carry."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
