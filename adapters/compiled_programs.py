"""JAX's compiled programs, kept between processes."""

from adapters import files


def keep_compiled_programs() -> None:
    """Turns on JAX's persistent compilation cache, in this project's cache folder.

    Every program is kept, however small: a second start then compiles nothing.
    """
    import jax  # here, for commands that work without it

    jax.config.update("jax_compilation_cache_dir", str(files.cache_directory() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
