"""Requests that a server must refuse in words, made from good ones by chance."""

import base64
import functools
import gzip
import io
import json
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace

from PIL import Image

from adapters.benchmarking.serving.questions import Question
from adapters.benchmarking.serving.server import TOKEN
from adapters.serving.limits import Limits

UNREADABLE, TOO_LARGE, UNKNOWN, NOT_ALLOWED, BAD_REQUEST = 422, 413, 404, 405, 400
NO_TOKEN, FORBIDDEN, OTHER_NAME = 401, 403, 421
WRAPPED = 415  # an image in something else, or what begins like that
LIMITS = Limits()  # those of launch/serve
VAST = 60_000  # pixels a side
BOUNDARY = "a-boundary-of-parts"

Make = Callable[[Question, random.Random], Question]


def malformed(good: Question, chance: random.Random) -> Question:
    """A request of a kind drawn by chance that no server may answer with 200."""
    kind = chance.choices(list(KINDS), [RARE.get(kind, 1.0) for kind in KINDS])[0]
    return replace(
        KINDS[kind](replace(good, answer=None, statuses=(UNREADABLE,)), chance), kind=kind
    )


def in_a_form(good: Question) -> Question:
    """The same image as the one file of a form."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
    body = head.encode() + good.body + f"\r\n--{BOUNDARY}--\r\n".encode()
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    return replace(good, body=body, headers={"Content-Type": kind})


def _truncated(good: Question, chance: random.Random) -> Question:
    return replace(good, body=good.body[: chance.randrange(8, len(good.body) * 3 // 4)])


def _random_bytes(good: Question, chance: random.Random) -> Question:
    body = chance.randbytes(chance.randrange(1, 5000))
    return replace(good, body=body, statuses=(UNREADABLE, WRAPPED))


def _empty(good: Question, _: random.Random) -> Question:
    return replace(good, body=b"")


def _base64(good: Question, chance: random.Random) -> Question:
    text = base64.b64encode(good.body)
    body = text[: chance.randrange(1, len(text))]
    return replace(good, body=body, statuses=(UNREADABLE, WRAPPED))


def _json(good: Question, _: random.Random) -> Question:
    text = json.dumps({"image": base64.b64encode(good.body).decode()})
    headers = {"Content-Type": "application/json"}
    return replace(good, body=text.encode(), headers=headers, statuses=(WRAPPED,))


def _gzip(good: Question, chance: random.Random) -> Question:
    headers = chance.choice([{}, {"Content-Encoding": "gzip"}])
    return replace(good, body=gzip.compress(good.body), headers=headers, statuses=(WRAPPED,))


def _broken_form(good: Question, chance: random.Random) -> Question:
    """A form that is cut short."""
    whole = in_a_form(good)
    return replace(whole, body=whole.body[: chance.randrange(1, len(whole.body) - 4)])


def _vast(good: Question, _: random.Random) -> Question:
    header = b"IHDR" + VAST.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    start = b"\x89PNG\r\n\x1a\n" + (13).to_bytes(4, "big") + header
    body = start + zlib.crc32(header).to_bytes(4, "big") + b"\0\0\0\0IDAT"
    return replace(good, body=body, statuses=(TOO_LARGE,))


def _many_pixels(good: Question, _: random.Random) -> Question:
    return replace(good, body=_dense_image(), statuses=(TOO_LARGE,))


def _many_scans(good: Question, _: random.Random) -> Question:
    return replace(good, body=_endless_image(), statuses=(TOO_LARGE,))


def _large_file(good: Question, _: random.Random) -> Question:
    return replace(good, body=_zeros(LIMITS.image_bytes + 1), statuses=(TOO_LARGE,))


def _large_claim(good: Question, chance: random.Random) -> Question:
    """Far more is announced than comes."""
    head = f"Content-Length: {10 ** chance.randrange(9, 16)}"
    return _raw(good, head, good.body, TOO_LARGE)


def _broken_chunks(good: Question, _: random.Random) -> Question:
    return _raw(good, "Transfer-Encoding: chunked", b"zz\r\n" + good.body, BAD_REQUEST)


def _broken_http(good: Question, chance: random.Random) -> Question:
    body = chance.randbytes(chance.randrange(20, 200)).replace(b"\n", b" ") + b"\r\n\r\n"
    return replace(good, body=body, statuses=(BAD_REQUEST,), raw=True)


def _hung_up(good: Question, chance: random.Random) -> Question:
    """A client that goes before its image is whole, and waits for nothing."""
    head = f"Content-Length: {len(good.body)}"
    half = good.body[: chance.randrange(len(good.body))]
    return replace(_raw(good, head, half, BAD_REQUEST), statuses=())


def _unknown_task(good: Question, chance: random.Random) -> Question:
    name = chance.choice(["no_such_task", "%00", "..%2f..%2fetc", "a" * 3000, "%F0%9F%92%A3"])
    return replace(good, path=f"/tasks/{name}", statuses=(UNKNOWN,))


def _unknown_path(good: Question, _: random.Random) -> Question:
    return replace(good, path="/images", statuses=(UNKNOWN,))


def _wrong_method(good: Question, chance: random.Random) -> Question:
    return replace(good, method=chance.choice(["PATCH", "OPTIONS"]), statuses=(NOT_ALLOWED,))


def _without_token(good: Question, chance: random.Random) -> Question:
    method = chance.choice(["PUT", "DELETE"])
    headers = chance.choice([{}, {"Authorization": f"Bearer {TOKEN}s"}, {"Authorization": TOKEN}])
    return replace(good, method=method, headers=headers, statuses=(NO_TOKEN,))


def _other_name(good: Question, chance: random.Random) -> Question:
    name = chance.choice(["rebound.example", "127.0.0.1.rebound.example", "localhost@x", "[::2]"])
    return replace(good, headers={"Host": name}, statuses=(OTHER_NAME,))


def _other_page(good: Question, chance: random.Random) -> Question:
    origin = chance.choice(["https://page.example", "null", "http://localhost.page.example"])
    return replace(good, headers={"Origin": origin}, statuses=(FORBIDDEN,))


def _no_patch(good: Question, chance: random.Random) -> Question:
    body = chance.choice([good.body, chance.randbytes(500), b""])
    statuses = (UNREADABLE, WRAPPED)
    return replace(good, method="PUT", body=body, headers=_MAY_CHANGE, statuses=statuses)


def _remove_unknown(good: Question, _: random.Random) -> Question:
    path = "/tasks/no_such_task"
    gone = replace(good, method="DELETE", path=path, body=b"")
    return replace(gone, headers=_MAY_CHANGE, statuses=(UNKNOWN,))


def _raw(good: Question, header: str, body: bytes, status: int) -> Question:
    head = f"POST {good.path} HTTP/1.1\r\nHost: localhost\r\n{header}\r\n\r\n"
    return replace(good, body=head.encode() + body, statuses=(status,), raw=True)


@functools.cache
def _dense_image() -> bytes:
    """A whole image of some kilobytes with more pixels than are allowed."""
    side = int(LIMITS.pixels**0.5) + 1
    buffer = io.BytesIO()
    Image.new("1", (side, side)).save(buffer, "PNG")
    return buffer.getvalue()


@functools.cache
def _endless_image() -> bytes:
    """A progressive JPEG that goes over all its pixels again and again."""
    buffer = io.BytesIO()
    Image.new("RGB", (2000, 2000)).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * 500 + data[-2:]


_zeros = functools.cache(bytes)
_MAY_CHANGE = {"Authorization": f"Bearer {TOKEN}"}

KINDS: Mapping[str, Make] = {
    "truncated": _truncated,
    "random bytes": _random_bytes,
    "empty": _empty,
    "broken base64": _base64,
    "JSON": _json,
    "gzip": _gzip,
    "broken form": _broken_form,
    "vast by its header": _vast,
    "too many pixels": _many_pixels,
    "too many scans": _many_scans,
    "too large a file": _large_file,
    "too large a claim": _large_claim,
    "broken chunks": _broken_chunks,
    "broken HTTP": _broken_http,
    "hung up": _hung_up,
    "unknown task": _unknown_task,
    "unknown path": _unknown_path,
    "wrong method": _wrong_method,
    "change without a token": _without_token,
    "another name": _other_name,
    "another site's page": _other_page,
    "no patch": _no_patch,
    "unknown removed": _remove_unknown,
}
RARE = {"too large a file": 0.1}  # ten megabytes each
