"""Kinds of image files: by their first bytes, by their names, and which of them are read."""

import functools
import importlib

READ = ("PNG", "JPEG", "WebP", "GIF", "BMP", "TIFF")
HEIC = "HEIC"
HEIC_PACKAGE = "pillow-heif"
LONGEST = 32
"""Bytes at the start of a file that tell its kind."""

ENDINGS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".mpo"), "JPEG"),
    **dict.fromkeys((".png", ".apng"), "PNG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **{".webp": "WebP", ".gif": "GIF", ".bmp": "BMP"},
    **dict.fromkeys((".heic", ".heif", ".hif"), HEIC),
    **dict.fromkeys((".avif", ".avifs"), "AVIF"),
    **dict.fromkeys((".jp2", ".j2k", ".jpx", ".jpf"), "JPEG 2000"),
    **dict.fromkeys((".pbm", ".pgm", ".ppm", ".pnm"), "PNM"),
    **{".jxl": "JPEG XL", ".svg": "SVG", ".psd": "Photoshop", ".tga": "TGA", ".pcx": "PCX"},
    **{".ico": "ICO", ".exr": "OpenEXR", ".hdr": "Radiance", ".dcm": "DICOM"},
    # Those of cameras begin as a TIFF does, which holds but a thumbnail.
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"), "raw"),
    **dict.fromkeys((".pef", ".srw"), "raw"),
}
"""Kinds of image by how their files' names end, in lower case."""

_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"8BPS", "Photoshop"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance"),
)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


def kind_of(data: bytes) -> str | None:
    """Returns the kind of image that `data` begins as, or None."""
    for start, kind in _STARTS:
        if data.startswith(start):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[4:8] == b"ftyp":
        # Brands follow in fours: the main one, a version, then those it is compatible with.
        brands = [data[at : at + 4] for at in range(8, LONGEST, 4)]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        return HEIC if any(brand in _HEIC_BRANDS for brand in brands) else None
    # Two letters alone begin many a text; the size of the header that follows is one of few.
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in (
        12,
        40,
        52,
        56,
        64,
        108,
        124,
    ):
        return "BMP"
    is_pnm = data[:1] == b"P" and data[1:2] in tuple(b"%d" % n for n in range(1, 7))
    return "PNM" if is_pnm and data[2:3].isspace() else None


def read_endings() -> tuple[str, ...]:
    """What the names of image files that are read here end in, sorted."""
    kinds = {*READ, HEIC} if reads_heic() else {*READ}
    return tuple(sorted(ending for ending, kind in ENDINGS.items() if kind in kinds))


def why_not_read(kind: str) -> str:
    """What a user is told of a kind that is not read."""
    if kind == HEIC:
        return f"HEIC images are read only where {HEIC_PACKAGE} is installed"
    return f"{kind} images are not read; save them as PNG or JPEG"


@functools.cache
def reads_heic() -> bool:
    """Makes Pillow read HEIC images where pillow-heif is installed, and says whether it does."""
    try:
        # By name: it is no package of ours, and whoever has such images may add it.
        package = importlib.import_module(HEIC_PACKAGE.replace("-", "_"))
    except ImportError:
        return False
    package.register_heif_opener()
    return True
