"""Weights by name: fetched once through stand-ins of their publishers' clients, then kept."""

import json
import sys
import types

import pytest
import safetensors.numpy

from adapters.backbones import named_weights
from adapters.backbones.conventions import KERAS, TORCH, TORCH_CENTRED
from adapters.backbones.convert import load_checkpoint
from adapters.backbones.named_weights import ClientMissingError, NamedWeightsError, PinError
from adapters.backbones.registry import table
from adapters.experiment import backbones
from adapters.fingerprint import fingerprint
from tests.backbones import published

TABLE = "mobilenet_v3_small_0.75"
NAME = "hf:timm/mobilenetv3_small_075.in1k"
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture(scope="module")
def data():
    """A checkpoint as timm publishes them."""
    return safetensors.numpy.save(published.tensors("timm", TABLE))


def config(architecture="mobilenetv3_small_075", mean=MEAN, std=STD):
    record = {"architecture": architecture, "pretrained_cfg": {"mean": mean, "std": std}}
    return json.dumps(record).encode()


@pytest.fixture
def hub(tmp_path, monkeypatch, data):
    """A stand-in for the hub's client: {(repository, revision): {file: bytes}}, and its calls."""
    monkeypatch.setenv("MODELPATCH_CACHE", str(tmp_path / "cache"))
    there = {NAME.removeprefix("hf:"): {"model.safetensors": data, "config.json": config()}}
    calls = []

    def list_repo_files(repository, revision=None):
        calls.append((repository, revision))
        if repository not in there:
            raise ConnectionError("cannot reach the hub\nmore of it")
        return ["README.md", *there[repository]]

    def hf_hub_download(repository, file, revision=None):
        calls.append((file, revision))
        kept = tmp_path / "hub" / file
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(there[repository][file])
        return str(kept)

    module = types.SimpleNamespace(list_repo_files=list_repo_files, hf_hub_download=hf_hub_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return there, calls


def test_weights_of_the_hub_are_those_of_the_file_in_the_way_its_card_says(
    hub, tmp_path, data, monkeypatch
):
    _, calls = hub
    (tmp_path / "own.safetensors").write_bytes(data)
    wanted = load_checkpoint(tmp_path / "own.safetensors", table(TABLE), TORCH)
    loaded = backbones.load(TABLE, f"{NAME}@abc")
    assert loaded.fingerprint == fingerprint(wanted.weights)
    found = loaded.checkpoint
    assert (found.padding, found.epsilon, found.mean, found.std) == TORCH
    assert {revision for _, revision in calls} == {"abc"}
    calls.clear()
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # no client, and no network
    assert backbones.load(TABLE, f"{NAME}@abc").fingerprint == loaded.fingerprint
    assert calls == []
    with pytest.raises(ClientMissingError, match="pip install huggingface_hub, or give a file"):
        named_weights.fetched(f"{NAME}@other")


@pytest.mark.parametrize(
    ("card", "conventions"),
    [
        (config(), TORCH),
        (config("tf_mobilenetv3_small_075", [0.5] * 3, [0.5] * 3), KERAS),
        (config(mean=[0.5] * 3, std=[0.5] * 3), TORCH_CENTRED),
        (config(mean=[0.5] * 2), None),
        (config(std=[0.0] * 3), None),
        (config(mean=["x"] * 3), None),
        (b'{"model_type": "mobilenet_v2"}', None),
        (b"[]", None),
        (b"{", None),
    ],
)
def test_a_card_says_how_the_network_was_trained_or_nothing(hub, card, conventions):
    there, _ = hub
    there["someone/net"] = {"model.safetensors": b"...", "config.json": card}
    assert named_weights.fetched("hf:someone/net").conventions == conventions


def test_what_is_kept_is_what_was_fetched_or_refused(hub):
    there, _ = hub
    path = named_weights.fetched(NAME).path
    there[NAME.removeprefix("hf:")]["model.safetensors"] = b"others"
    assert named_weights.fetched(NAME).path.read_bytes() == path.read_bytes() != b"others"
    path.write_bytes(b"others")
    with pytest.raises(PinError, match=r"is not what was fetched as hf:timm/.* whose sha256 is"):
        backbones.load(TABLE, NAME)
    (path.parent / named_weights.PIN).write_text("{}")
    with pytest.raises(PinError, match="does not say what it holds: delete it"):
        named_weights.fetched(NAME)


def test_what_cannot_be_had_leaves_nothing(hub, tmp_path):
    there, _ = hub
    there["someone/flax"] = {"flax_model.msgpack": b""}
    with pytest.raises(
        NamedWeightsError, match=r"holds no model\.safetensors or pytorch_model\.bin"
    ):
        named_weights.fetched("hf:someone/flax")
    with pytest.raises(
        NamedWeightsError, match=r"ConnectionError: cannot reach the hub\)"
    ) as raised:
        backbones.load(TABLE, "hf:nobody/none")
    assert raised.value.settings == ("weights",)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_torchvision_s_are_fetched_by_its_own_name_and_hash(hub, monkeypatch, data):
    asked = []

    def get_weight(name):
        if name != "MobileNet_V2_Weights.IMAGENET1K_V1":
            raise ValueError(f"{name} is unknown")
        return types.SimpleNamespace(url="https://host.example/models/mobilenet_v2-b0353104.pth")

    def download_url_to_file(url, path, prefix, progress):
        asked.append((url, prefix))
        with open(path, "wb") as file:
            file.write(data)

    models = types.SimpleNamespace(get_weight=get_weight)
    client = types.SimpleNamespace(download_url_to_file=download_url_to_file)
    monkeypatch.setitem(sys.modules, "torchvision", types.SimpleNamespace(models=models))
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(hub=client))
    monkeypatch.setitem(sys.modules, "torch.hub", client)
    found = named_weights.fetched("torchvision:MobileNet_V2_Weights.IMAGENET1K_V1")
    assert asked == [("https://host.example/models/mobilenet_v2-b0353104.pth", "b0353104")]
    assert (found.path.name, found.conventions) == ("mobilenet_v2-b0353104.pth", None)
    assert found.path.read_bytes() == data
    with pytest.raises(
        NamedWeightsError, match=r"torchvision:Other cannot be fetched .*is unknown"
    ):
        named_weights.fetched("torchvision:Other")


def test_paths_are_no_names():
    assert named_weights.is_name(NAME)
    for path in ("model.safetensors", "/hf:x", "c:\\model.pth", "out/backbone.safetensors"):
        assert not named_weights.is_name(path)
