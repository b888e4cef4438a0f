"""Forms as clients write them, byte by byte, and the ways in which a form is none."""

import pytest

from adapters.serving import forms
from adapters.serving.errors import FormError

# Whatever a file may hold: line ends, zeros, dashes, and what looks like another boundary.
FILE = b"\x89PNG\r\n\x1a\n\0\r\n--other\r\n\r\n--\xff"
CURL = (
    b"--------------------------0123456789abcdef\r\n"
    b'Content-Disposition: form-data; name="image"; filename="x\\"y;z.png"\r\n'
    b"Content-Type: image/png\r\n\r\n" + FILE + b"\r\n"
    b"--------------------------0123456789abcdef\r\n"
    b'Content-Disposition: form-data; name="place"\r\n\r\n'
    b"0.1,0.2,0.3\r\n"
    b"--------------------------0123456789abcdef--\r\n"
)
BROWSER = (
    b"------WebKitFormBoundaryABC\r\n"
    b'Content-Disposition: form-data; name="place"\r\n\r\n'
    b"0.1,0.2,0.3\r\n"
    b"------WebKitFormBoundaryABC\r\n"
    b'Content-Disposition: form-data; name="f"; filename="\xc3\xa9.png"\r\n'
    b"Content-Type: image/png\r\n\r\n" + FILE + b"\r\n"
    b"------WebKitFormBoundaryABC--\r\n"
)
# urllib3's: the parameter of RFC 2231, and no line end at the end.
LIBRARY = (
    b"--b\r\n"
    b"content-disposition: form-data; name=place\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n"
    b"0.1,0.2,0.3\r\n--b\r\n"
    b"Content-Disposition: form-data; name=\"image\"; filename*=utf-8''%C3%A9.png\r\n\r\n"
    + FILE
    + b"\r\n--b--"
)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=------------------------0123456789abcdef", CURL),
        ("multipart/form-data; boundary=----WebKitFormBoundaryABC", BROWSER),
        ('Multipart/Form-Data; charset=utf-8; Boundary="b"', LIBRARY),
    ],
)
def test_a_form_gives_its_file_byte_by_byte_and_its_fields(kind, body):
    assert forms.is_form(kind)
    assert forms.parse(body, kind) == (FILE, {"place": "0.1,0.2,0.3"})


def form(*parts):
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


A_FILE = b'Content-Disposition: form-data; name="a"; filename="a"\r\n\r\nx'
A_FIELD = b'Content-Disposition: form-data; name="a"\r\n\r\nx'


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "not whole"),
        (b"--b--", "0 files"),
        (b"x" + form(A_FILE), "not whole"),
        (form(A_FILE)[:-4], "not whole"),
        (form(A_FILE) + b"more", "not whole"),
        (b"--b\r\n" * 100, "not whole|parts"),
        (form(*[A_FILE] * 33), "more than 32 parts"),
        (form(A_FIELD), "0 files"),
        (form(A_FILE, A_FILE), "2 files"),
        (form(A_FILE, A_FIELD, A_FIELD), "a comes twice"),
        (form(A_FILE, A_FIELD + bytes(5000)), "more than 4096 bytes"),
        (form(A_FILE, A_FIELD + b"\xff"), "no text"),
        (form(A_FILE, b"no blank line"), "no head"),
        (form(A_FILE, b"X-Long: " + b"x" * 5000 + b"\r\n\r\n"), "no head"),
        (form(A_FILE, b"X-Other: a\r\n\r\nx"), "no name"),
        (form(b"Content-Transfer-Encoding: base64\r\n" + A_FILE), "encoded"),
    ],
)
def test_what_is_no_whole_form_with_one_file_is_refused(body, said):
    with pytest.raises(FormError, match=said):
        forms.parse(body, "multipart/form-data; boundary=b")


@pytest.mark.parametrize("kind", ["multipart/form-data", "multipart/mixed; boundary=b"])
def test_a_form_says_what_it_is(kind):
    with pytest.raises(FormError, match="no form-data with a boundary"):
        forms.parse(form(A_FILE), kind)
