"""C++ code for gradients: what XLA's own derivative says, and the same training step."""

import contextlib
import subprocess

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from adapters.layers import activations, padding
from adapters.layers.depthwise_convolution import native as convolution
from adapters.layers.windows import Geometry
from adapters.native import gradients, library
from adapters.patches.registry import from_spec
from adapters.training import step
from adapters.training.recipe import Recipe
from tests import narrow

HAS_COMPILER = any(map(library.shutil.which, library.COMPILERS))
compiled = pytest.mark.skipif(not HAS_COMPILER, reason="needs a C++ compiler")


def drawn(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def close(one, other):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5 * np.abs(other).max())


@compiled
@pytest.mark.parametrize("activation", gradients.ACTIVATIONS)
def test_a_norm_s_gradients_are_its_derivatives(activation):
    library.register()
    # Wide enough to reach both ends of every activation; 27 channels fill no instruction.
    x, dy = 4 * drawn(2, 3, 5, 7, 27), drawn(2, 3, 5, 7, 27, seed=1)
    gain, bias = drawn(2, 27, seed=2), drawn(2, 27, seed=3)

    def norm(x, gain, bias):
        channels = (slice(None), None, None, None)
        return activations.activate(activation, x * gain[channels] + bias[channels])

    by_image = jax.vmap(gradients.of_norm, (None, 0, 0, None, None))
    found = jax.vmap(by_image, (None, 0, 0, 0, 0))(activation, x, dy, gain, bias)
    expected = jax.vjp(norm, x, gain, bias)[1](dy)
    close(found[0], expected[0])
    close(jnp.sum(found[1], axis=1), expected[1])
    close(jnp.sum(found[2], axis=1), expected[2])


@compiled
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "channels", "size"),
    [
        *((3, 1, 1, 24, 8), (3, 2, 1, 9, 7), (3, 2, 1, 17, 8), (5, 1, 1, 8, 6)),
        *((7, 2, 1, 1, 9), (3, 1, 2, 16, 9), (3, 3, 1, 5, 8), (5, 1, 1, 16, 2)),
    ],
)
def test_a_depthwise_layer_s_gradients_are_its_derivatives(
    kernel, stride, dilation, channels, size
):
    library.register()
    pads = padding.explicit("same", (size, size + 1), kernel, stride, dilation)
    geometry = Geometry(stride, dilation, pads)
    x, w = drawn(2, size, size + 1, channels), drawn(kernel, kernel, 1, channels, seed=1)
    layer = jax.vmap(lambda x, w: convolution(x, w, geometry), (0, None))
    y, back = jax.vjp(layer, x, w)
    dy = drawn(*y.shape, seed=2)
    before = pads[0][0], pads[1][0]
    dx, dw = jax.vmap(gradients.of_depthwise, (0, None, 0, None, None, None))(
        x, w, dy, stride, dilation, before
    )
    for found, expected in zip((dx, jnp.sum(dw, axis=0)), back(dy), strict=True):
        close(found, expected)


@compiled
def test_a_step_is_the_same():
    """After a step from heads that are not zero: losses, and gradients as Adam's first moments."""
    patch, found, programs = from_spec("scale_bias+depthwise"), [], []
    for native in (False, True):
        recipe = Recipe(steps=10, warmup=0.0, native_gradients=native)
        made = step.trainer(
            *(narrow.BACKBONE, patch, narrow.HEADS, recipe, narrow.PIXELS, narrow.mesh())
        )
        state = made.init(jax.random.key(0), narrow.weights())
        state = state._replace(heads=narrow.disturbed(state.heads, 5))
        batch = narrow.batch(np.asarray([0, 2], np.int32), *narrow.images(2, 4))
        traced = jax.make_jaxpr(
            lambda state, images, made=made, batch=batch: made.step(
                state,
                narrow.weights(),
                batch._replace(inputs={"image": images}),
                jax.random.key(1),
                number=0,
            )
        )(state, batch.inputs["image"])
        programs.append(str(traced).count("modelpatch_"))
        state, metrics = made.step(state, narrow.weights(), batch, jax.random.key(1))
        patches, heads, _ = state.optimisers
        moments = [optimiser[0].mu for optimiser in (patches, heads["classification"])]
        found.append([metrics.loss, *jax.tree.leaves(moments)])
    assert programs[0] == 0 < programs[1]
    for plain, native in zip(*found, strict=True):
        np.testing.assert_allclose(plain, native, rtol=1e-4, atol=1e-6)


def test_several_devices_are_refused():
    with pytest.raises(library.NativeCodeError, match="for one CPU device, and this run has 2"):
        gradients.check(narrow.mesh(2))


@contextlib.contextmanager
def forgotten():
    """Within it, this process has registered nothing yet; its XLA knows the functions already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.ffi, "register_ffi_target", lambda *arguments, **more: None)
        library.register.cache_clear()
        yield
    library.register.cache_clear()


@pytest.mark.parametrize(
    ("compiler", "said"),
    [
        (None, r"none of c\+\+, g\+\+, clang\+\+ is on PATH"),
        ("no-such-compiler", "no-such-compiler does not run: No such file"),
        ("false", "false cannot compile gradients.cc: .*Name another compiler in CXX"),
    ],
)
def test_where_nothing_compiles_it_is_said(tmp_path, monkeypatch, compiler, said):
    monkeypatch.setenv("MODELPATCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CXX", raising=False)
    if compiler is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        monkeypatch.setenv("CXX", compiler)
    with forgotten(), pytest.raises(library.NativeCodeError, match=said) as error:
        library.register()
    assert error.value.settings == ("native_gradients",)
    assert not [*tmp_path.rglob("*.so")]


@compiled
def test_a_damaged_library_is_named(tmp_path, monkeypatch):
    library.register()
    built = library._built()
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / built.name).write_bytes(built.read_bytes()[:100])
    monkeypatch.setenv("MODELPATCH_CACHE", str(tmp_path))
    with forgotten(), pytest.raises(library.NativeCodeError, match=r"cannot be loaded.*delete it"):
        library.register()


@compiled
def test_it_is_compiled_once(tmp_path, monkeypatch):
    commands, run = [], subprocess.run

    def counted(command, **options):
        commands.append(command)
        return run(command, **options)

    library.register()  # what is compiled now is in the cache
    monkeypatch.setattr(library.subprocess, "run", counted)
    with forgotten():
        library.register()
    assert [command[-1] for command in commands] == ["--version"]
