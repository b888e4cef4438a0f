"""Every test runs strictly: two fake devices, no silent promotion of dtype or rank."""

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

from adapters import files

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_compilation_cache_dir", str(files.cache_directory() / "xla"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
