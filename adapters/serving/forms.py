"""A file, and fields of text, out of the body of a form: `multipart/form-data` (RFC 7578).

Strict and small: it reads what browsers, curl and the usual libraries send. Nothing is decoded, so
that a form takes no more memory than its body does twice.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from adapters.serving.errors import FormError

PARTS = 32
HEAD_BYTES = 4096  # of one part
VALUE_BYTES = 4096  # of one field
_BOUNDARY = re.compile(
    r'multipart/form-data\s*;(?:[^"]*;)?\s*boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE
)
_DISPOSITION = re.compile(
    r'content-disposition:\s*form-data((?:\s*;\s*[\w*]+=(?:"(?:[^"\\]|\\.)*"|[^\s;"]*))+)\s*',
    re.IGNORECASE,
)
_PARAMETER = re.compile(r'([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
_PLAIN = re.compile(r"content-transfer-encoding:\s*(binary|[78]bit)\s*", re.IGNORECASE)


class Form(NamedTuple):
    """What a body brings: the bytes of one file, and fields {name: text}."""

    file: bytes
    fields: Mapping[str, str]


def is_form(content_type: str) -> bool:
    """Whether a `Content-Type` says that the body is one."""
    return content_type.lstrip().lower().startswith("multipart/")


def parse(body: bytes, content_type: str) -> Form:
    """The one file of a form, whatever its field is called, and the fields beside it.

    Raises FormError for another number of files, a name that comes twice, and an incomplete form.
    """
    found = _BOUNDARY.match(content_type.strip())
    if found is None:
        raise FormError(_advice(f"{content_type[:100]} is no form-data with a boundary"))
    boundary = (found[1] or found[2]).encode("latin-1")
    before, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary, PARTS + 1)
    if before or not parts or parts.pop().rstrip(b"\r\n") != b"--":
        few = len(parts) < PARTS
        raise FormError(_advice("it is not whole" if few else f"it has more than {PARTS} parts"))
    files: list[bytes] = []
    fields: dict[str, str] = {}
    for part in parts:
        name, is_file, content = _part(part)
        if is_file:
            files.append(content)
        elif name in fields:
            raise FormError(_advice(f"the field {name} comes twice"))
        else:
            fields[name] = _text(name, content)
    if len(files) != 1:
        raise FormError(_advice(f"it has {len(files)} files"))
    return Form(files[0], fields)


def _part(part: bytes) -> tuple[str, bool, bytes]:
    """Name, whether it is a file, and content."""
    head, blank, content = part.partition(b"\r\n\r\n")
    if not blank or not head.startswith(b"\r\n") or len(head) > HEAD_BYTES:
        raise FormError(_advice("a part of it has no head"))
    parameters: dict[str, str] = {}
    for line in head[2:].decode("utf-8", "replace").split("\r\n"):
        if line.lower().startswith("content-transfer-encoding") and not _PLAIN.fullmatch(line):
            raise FormError(_advice("a part of it is encoded"))
        if disposition := _DISPOSITION.fullmatch(line):
            parameters |= {
                key.lower(): quoted or plain
                for key, quoted, plain in _PARAMETER.findall(disposition[1])
            }
    if "name" not in parameters:
        raise FormError(_advice("a part of it has no name"))
    return parameters["name"], bool({"filename", "filename*"} & parameters.keys()), content


def _text(name: str, content: bytes) -> str:
    if len(content) > VALUE_BYTES:
        raise FormError(_advice(f"the field {name} has more than {VALUE_BYTES} bytes"))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise FormError(_advice(f"the field {name} is no text")) from None


def _advice(wrong: str) -> str:
    return (
        f"the form cannot be read, {wrong}: send one file and a field for each input, as "
        "`curl -F image=@FILE -F NAME=VALUE` does, or the file's own bytes as the body."
    )
