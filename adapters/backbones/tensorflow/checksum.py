"""CRC-32C as TensorFlow and LevelDB keep it beside data: rotated, with a constant added."""

import google_crc32c


def masked(data: bytes) -> int:
    """The checksum of `data`, masked, so that data which holds checksums has a good one too."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
