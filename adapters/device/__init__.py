"""Getting a patched backbone ready for a device."""
