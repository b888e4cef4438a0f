"""What a server takes: of one request, of one client, and in all."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a server takes.

    One client is an IPv4 address, or the half of an IPv6 address that names a network.

    Attributes:
      image_bytes, patch_bytes: of a body.
      pixels: of an image, width times height.
      scans: of a JPEG file; each goes over all its pixels. Encoders make a dozen.
      connections: that are open at once; half of them for one client.
      bytes_in_flight: of bodies that are arriving or being answered; half of them for one client.
      queue: images that may be decoded or wait for the network; half of them for one client.
      answers: labels in an answer, the most telling first, unless a request says how many.
      most_answers: that a request may ask for.
      head_seconds: that a request's head may take to arrive, once the connection is open or its
        first byte is there.
      body_seconds: that a body may take.
      decode_seconds: that an image may take to decode.
      answer_seconds: that an image may take from its last byte until it is answered.
      request_seconds: that all may take from the head on, until the client has taken the answer.
      rest_seconds: that a connection may rest between requests: longer than clients and proxies
        keep theirs, so that it is they who close it. A server that does may close it under a
        request on its way.
    """

    image_bytes: int = 10_000_000
    patch_bytes: int = 20_000_000
    pixels: int = 50_000_000
    scans: int = 32
    connections: int = 512
    bytes_in_flight: int = 256_000_000
    queue: int = 256
    answers: int = 5
    most_answers: int = 5000
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    decode_seconds: float = 10.0
    answer_seconds: float = 30.0
    request_seconds: float = 90.0
    rest_seconds: int = 75
