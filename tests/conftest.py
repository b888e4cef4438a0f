"""Every test runs strictly: two fake devices, no silent promotion of dtype or rank."""

import gc
import os
import pathlib

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax

from adapters.compiled_programs import keep_compiled_programs

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
keep_compiled_programs()  # for the other worker, and for commands that tests start

# Python looks for cycles after every 700 new objects, and JAX makes millions while it traces: at
# that pace, a quarter of a test's time.
gc.set_threshold(100_000, 10, 10)

# Those that take longest: one begun last would end with the other worker idle (`launch/test` gives
# each of two workers whole files, in this order).
LONGEST = (
    "patches/test_common.py",
    "backbones/test_equality.py",
    "backbones/test_every_backbone.py",
    "backbones/test_tables.py",
    "experiment/test_library_page.py",
    "launch/test_search.py",
    "analysis/test_multiply_adds.py",
    "launch/test_decathlon.py",
    "launch/test_export.py",
    "test_launcher.py",
    "launch/test_kill.py",
    "launch/test_run.py",
    "launch/test_preview.py",
    "backbones/test_skipping.py",
    "backbones/test_sites.py",
    "device/test_export.py",
    "training/test_cluster.py",
    "launch/test_benchmark_serving.py",
    "store/test_install_kills.py",
    "launch/test_tutorial.py",
)
TESTS = pathlib.Path(__file__).parent


def pytest_collection_modifyitems(items):
    places = {TESTS / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_collection_finish():
    """No search for cycles visits what is there now, all modules and tests: it stays to the end."""
    gc.collect()
    gc.freeze()
