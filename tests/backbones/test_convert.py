"""Converting is strict both ways, and every leaf lands where it belongs."""

import numpy as np
import pytest
import safetensors.numpy

from adapters.backbones import registry
from adapters.backbones.builder import expected_shapes
from adapters.backbones.checkpoint import CheckpointError
from adapters.backbones.conventions import (
    CONVENTIONS,
    KERAS,
    KERAS_V1,
    TENSORFLOW_LITE,
    TORCH,
)
from adapters.backbones.convert import (
    ConventionsNeededError,
    ConversionError,
    convert,
    load_checkpoint,
)
from adapters.backbones.naming.known import NAMINGS
from adapters.backbones.registry import table
from adapters.backbones.safetensors_file import SafetensorsFileError
from adapters.fingerprint import fingerprint
from tests.backbones import published


@pytest.mark.parametrize(
    ("naming", "table_name", "conventions"),
    [
        ("Keras", "mobilenet_v1_0.25", KERAS_V1),
        ("Keras", "mobilenet_v2_0.35", KERAS),
        ("Keras", "mobilenet_v3_small_0.75", KERAS),
        ("torchvision", "mobilenet_v2_0.35", TORCH),
        ("torchvision", "mobilenet_v3_small_1.0", TORCH._replace(epsilon=1e-3)),
        ("torchvision", "mnasnet_b1", TORCH),
        ("timm", "mobilenet_v2_0.35", TORCH),
        ("timm", "mnasnet_small", TORCH),
        ("efficientnet-pytorch", "efficientnet_lite0", TENSORFLOW_LITE),
        ("TF-slim", "mobilenet_v1_0.25", KERAS),
    ],
)
def test_conventions_that_names_imply(naming, table_name, conventions):
    found = convert(published.tensors(naming, table_name), table(table_name), None, "", "")
    assert (found.padding, found.epsilon, found.mean, found.std) == conventions


@pytest.mark.parametrize(
    "table_name", ["efficientnet_lite0", "mobilenet_v3_small_0.75", "mobilenet_v4_conv_small"]
)
def test_conventions_that_names_do_not_tell_are_asked_for(table_name):
    with pytest.raises(ConventionsNeededError, match="pass conventions="):
        convert(published.tensors("timm", table_name), table(table_name), None, "", "")


@pytest.mark.parametrize("family", ["torch", "keras"])
def test_pixels_from_0_to_1(family):
    """Of a card's mean 0 and std 1, which speak of pixels that were divided by 255."""
    unit = CONVENTIONS[f"{family}_unit"]
    assert unit._replace(mean=None, std=None) == CONVENTIONS[family]._replace(mean=None, std=None)
    pixels = np.float64([0, 51, 255])
    np.testing.assert_allclose((pixels - unit.mean) / unit.std, (pixels / 255 - 0) / 1)


@pytest.mark.parametrize(
    ("naming", "table_name"),
    [
        (naming.name, name)
        for naming in NAMINGS
        for name in registry.TABLES
        if name.startswith(naming.tables)
    ],
)
def test_every_table_is_filled_under_every_naming(naming, table_name):
    rows = table(table_name)
    tensors = published.tensors(naming, table_name, classes=3)
    checkpoint = convert(tensors, rows, TORCH, "a source", "a licence")
    found = {path: {n: a.shape for n, a in m.items()} for path, m in checkpoint.weights.items()}
    assert found == expected_shapes(rows)
    assert all(a.dtype == np.float32 for m in checkpoint.weights.values() for a in m.values())
    kernel, bias = (tensors[name] for name in published.naming(naming, table_name).head_places())
    expected = kernel.squeeze() if naming in ("Keras", "TF-slim") else np.swapaxes(kernel, 0, 1)
    np.testing.assert_array_equal(checkpoint.head["w"], expected)
    np.testing.assert_array_equal(checkpoint.head["b"], bias)
    assert (checkpoint.source, checkpoint.licence) == ("a source", "a licence")


def test_a_kernel_lands_transposed_as_the_sheet_says():
    tensors = published.tensors("torchvision", "mobilenet_v2_0.35")
    weights = convert(tensors, table("mobilenet_v2_0.35"), None, "", "").weights
    theirs = tensors["features.0.0.weight"]  # [out, in, height, width]
    assert weights["stem"]["w"][2, 1, 0, 3] == theirs[3, 0, 2, 1]
    theirs = tensors["features.2.conv.1.0.weight"]  # [channels, 1, height, width]
    assert weights["block_02/depthwise"]["w"][0, 2, 0, 5] == theirs[5, 0, 0, 2]
    theirs = tensors["features.2.conv.2.weight"]  # [out, in, 1, 1]
    assert weights["block_02/project"]["w"][4, 1] == theirs[1, 4, 0, 0]


def test_all_faults_are_told_at_once():
    tensors = published.tensors("Keras", "mobilenet_v2_0.35")
    del tensors["bn_Conv1/gamma"]
    tensors["stranger/kernel"] = np.zeros((2, 3), np.float32)
    tensors["Conv_1_bn/beta"] = np.zeros(7, np.float32)
    tensors["block_3_project/kernel"][:] = np.nan
    tensors["block_4_project_BN/gamma"] = np.ones(24, np.int32)
    with pytest.raises(ConversionError, match=r"not mobilenet_v2_0\.35's \(5 faults") as raised:
        convert(tensors, table("mobilenet_v2_0.35"), None, "", "")
    assert [fault.split(" ")[0] for fault in raised.value.faults] == [
        "missing",
        "not",
        "block_3_project/kernel",
        "block_4_project_BN/gamma",
        "Conv_1_bn/beta",
    ]
    assert "missing bn_Conv1/gamma [16]" in str(raised.value)
    assert "not expected: stranger/kernel [2, 3]" in str(raised.value)
    assert "Conv_1_bn/beta has shape [7], expected [1280]" in str(raised.value)


def test_another_width_is_refused():
    tensors = published.tensors("timm", "mobilenet_v2_1.0")
    with pytest.raises(ConversionError, match="another width") as raised:
        convert(tensors, table("mobilenet_v2_0.75"), None, "", "")
    assert "more" in str(raised.value).splitlines()[-1]
    assert any("conv_stem.weight has shape [32, 3, 3, 3]" in f for f in raised.value.faults)


def test_no_head_is_fine():
    tensors = published.tensors("timm", "mobilenet_v2_0.35")
    del tensors["classifier.bias"], tensors["classifier.weight"]
    assert convert(tensors, table("mobilenet_v2_0.35"), None, "", "").head is None


def test_a_table_that_no_code_base_names_is_refused():
    with pytest.raises(ConversionError, match=r"have isometric \(none is\)"):
        convert({"w": np.zeros(3)}, table("isometric"), None, "", "")


def test_unknown_names_are_refused():
    with pytest.raises(ConversionError, match="begin with encoder"):
        convert({"encoder.w": np.zeros(3)}, table("mobilenet_v2_1.0"), None, "", "")


def test_step_counts_are_no_tensors():
    tensors = published.tensors("torchvision", "mobilenet_v2_0.35")
    counted = {**tensors, "features.0.1.num_batches_tracked": np.array(7)}
    plain, other = (
        convert(t, table("mobilenet_v2_0.35"), None, "", "") for t in (tensors, counted)
    )
    assert fingerprint(plain.weights) == fingerprint(other.weights)


def test_half_precision_safetensors_are_read_by_content(tmp_path):
    tensors = published.tensors("timm", "mobilenet_v2_0.35")
    half = {name: array.astype(np.float16) for name, array in tensors.items()}
    (tmp_path / "named_anyhow.bin").write_bytes(safetensors.numpy.save(half))
    checkpoint = load_checkpoint(tmp_path / "named_anyhow.bin", table("mobilenet_v2_0.35"))
    assert checkpoint.source == "named_anyhow.bin"
    assert checkpoint.licence == "not stated"
    np.testing.assert_array_equal(
        checkpoint.weights["tail/norm"]["var"], half["bn2.running_var"].astype(np.float32)
    )


def test_damaged_and_unreadable_safetensors_are_refused(tmp_path):
    data = safetensors.numpy.save(published.tensors("timm", "mobilenet_v2_0.35"))
    (tmp_path / "cut.safetensors").write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match=r"cut\.safetensors: .* damaged"):
        load_checkpoint(tmp_path / "cut.safetensors", table("mobilenet_v2_0.35"))
    header = b'{"w":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}'
    (tmp_path / "eight").write_bytes(len(header).to_bytes(8, "little") + header + b"\x80")
    with pytest.raises(SafetensorsFileError, match="w holds F8_E4M3 values: convert them to fl"):
        load_checkpoint(tmp_path / "eight", table("mobilenet_v2_0.35"))
