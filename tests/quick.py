"""For programs that take longer to compile than to run: `jax.jit(..., compiler_options=QUICKEST)`.

Only where a tolerance is stated: what ships rounds otherwise, and a comparison to the bit of two
such programs can fail where that of two as shipped holds.
"""

QUICKEST = {"xla_backend_optimization_level": 0, "xla_cpu_use_fusion_emitters": False}
