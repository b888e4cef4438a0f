"""From JAX functions to one LiteRT flatbuffer, by way of StableHLO and without TensorFlow.

`litert-converter` is what litert-torch converts with; it has no documentation of its own, so its
version is held to one minor release in pyproject.toml.
"""

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from adapters.errors import ModelPatchError
from adapters.runtime.notices import without_notices


class ConverterError(ModelPatchError):
    """The converter or LiteRT is not installed, or a graph cannot be converted."""


class Signature(NamedTuple):
    """One way to call a graph.

    Attributes:
      name: what runtimes find it by.
      function: from {input name: array} to {output name: array}. Arrays that it closes over become
        constants of the graph; equal ones are stored once, also between signatures.
      inputs: {input name: shape and dtype}.
    """

    name: str
    function: Callable[[Mapping[str, jax.Array]], Mapping[str, jax.Array]]
    inputs: Mapping[str, jax.ShapeDtypeStruct]


def check_installed() -> None:
    """Raises ConverterError where the converter, or LiteRT to run its graphs, is not installed."""
    try:
        with without_notices():
            for module in ("ai_edge_litert.compiled_model", "litert_converter.mlir"):
                importlib.import_module(module)
    except ImportError as error:
        raise ConverterError(
            "exporting for LiteRT needs ai-edge-litert and litert-converter, and this installation "
            f"lacks one of them: {error}. The converter is made for Linux on x86-64 and for macOS "
            "on Apple silicon; the commands install both there. In an environment of your own: "
            "pip install '.[train,device]' && pip install --no-deps 'litert-converter>=0.5,<0.6'."
        ) from error


def flatbuffer(signatures: Sequence[Signature]) -> bytes:
    """The `.tflite` with these signatures.

    Raises ConverterError without `litert-converter`, or where it refuses a graph.
    """
    check_installed()
    from litert_converter import converter_api_ext as api
    from litert_converter.mlir import ir, passmanager

    context = ir.Context()
    api.prepare_mlir_context(context)
    try:
        with context, ir.Location.unknown(context):
            modules = []
            for signature in signatures:
                text, outputs = _stablehlo(signature)
                module = ir.Module.parse(text)
                names = sorted(signature.inputs)
                api.set_signature(module.operation, signature.name, names, outputs)
                manager = passmanager.PassManager.parse("builtin.module()")
                api.run_convert_to_tfl_passes(module, manager, api.ConvertToTFLConfig())
                modules.append(module)
            return api.export_flatbuffer_to_bytes(api.merge_modules(modules).operation)
    except (ir.MLIRError, RuntimeError, ValueError) as error:
        raise ConverterError(f"litert-converter refuses the graph: {error}.") from error


def _stablehlo(signature: Signature) -> tuple[str, list[str]]:
    """The function's text, and its outputs; both they and the inputs stand by their names."""
    inputs: dict[str, Any] = dict(signature.inputs)
    traced = jax.jit(signature.function, keep_unused=True).trace(inputs)
    if constant := _constants(traced):
        computed = _computed(signature.function, constant)
        traced = jax.jit(computed, keep_unused=True).trace(inputs)
    # As for a GPU, where depthwise layers stay one operation each: what CPUs need in XLA is several
    # times slower in LiteRT.
    return traced.lower(lowering_platforms=("cuda",)).as_text(), sorted(traced.out_info)


def _constants(traced: Any) -> set[str]:
    """The names of outputs that no input leads to."""
    jaxpr = traced.jaxpr.jaxpr
    reached = {id(each) for each in jaxpr.invars}
    for equation in jaxpr.eqns:
        if any(id(each) in reached for each in equation.invars):
            reached |= {id(each) for each in equation.outvars}
    outputs = zip(sorted(traced.out_info), jaxpr.outvars, strict=True)
    return {name for name, each in outputs if id(each) not in reached}


def _computed(function: Any, constant: set[str]) -> Any:
    """The same function, in which those outputs are computed, by 0 of an input that is added.

    LiteRT has a notice of each output that is a constant, at every call.
    """

    def computed(given: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        nothing = jnp.clip(jnp.ravel(given[min(given)])[0], 0.0, 0.0)
        return {
            name: made + nothing if name in constant else made
            for name, made in function(given).items()
        }

    return computed
