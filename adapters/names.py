"""Names that become files and texts that are printed: what tasks and patch files both refuse."""

import re
import unicodedata

# No file system forbids such a name, hides it, or takes part of it for a folder.
_FILE_NAME = re.compile(r"""(?![. ])[^/\\:*?"<>|]{1,60}(?<![. ])""")
# A file's name has at most 255 bytes. The longest one that is made of ours has 20 more, while the
# file is written: `.NAME.patch.sig.XXXXXXXX`.
_BYTES = 200
# Directions, zero width, tags. Two joiners are how some scripts and emoji are spelled; beside ASCII
# they only hide.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f]|(?<![^\0-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\0-\x7f])"
)
FILE_NAME_RULE = (
    f"a file is named after it, so it has 1 to 60 characters of at most {_BYTES} bytes in UTF-8, "
    'none of / \\ : * ? " < > |, and no dot or space at either end'
)


def is_file_name(name: str) -> bool:
    """Whether `name` may name a file on any system, as `FILE_NAME_RULE` says in words."""
    if not _FILE_NAME.fullmatch(name) or has_control_characters(name):
        return False
    return len(name.encode("utf-8")) <= _BYTES


def plain(text: str) -> str:
    """`text` with characters that nobody sees, and those that move others about, spelled out.

    >>> plain("a\\u200bb")
    'a\\\\u200bb'
    """
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)


def has_control_characters(text: str) -> bool:
    """Whether `text` holds characters that act on a terminal, or that JSON cannot carry."""
    return any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
