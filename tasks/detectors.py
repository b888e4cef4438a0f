"""What tasks of small images with objects have in common."""

SIDE = 192
"""Of their images, in pixels."""

HEAD = "ssdlite(maps=3, finest=8, smallest=0.12, largest=0.6)"
"""Three maps of the backbone, of strides 8, 16 and 32: no neck is needed."""
