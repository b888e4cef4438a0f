"""`launch/page` in a real Chromium. Opt-in: `npm ci --prefix javascript/browser`, and chromium."""

import dataclasses
import hashlib
import io
import json
import pathlib

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from PIL import ExifTags, Image, ImageDraw

from adapters.backbones import registry
from adapters.experiment import page_folder
from adapters.heads.registry import head_of
from adapters.indexed_png import COLOURS
from adapters.preprocessing import Preprocessing, decode, normalise, prepare, view_of
from adapters.runtime import signatures
from adapters.runtime.feeds import patch_inputs
from adapters.runtime.input_file import write_inputs
from adapters.store import signed_folder
from adapters.store.edits import apply_edits
from adapters.store.trust import TrustedKey
from tests import narrow
from tests.device import exported, mapped
from tests.javascript import chromium
from tests.launch import small
from tests.patches.table import PLAIN

MADE = (
    exported.contents("one", seed=2, classes=3),
    exported.contents("two", seed=3, classes=8),
)
MAPPED = {"objects": ("squares", "square"), "regions": ("lights",)}
"""Pages of heads that read maps: of two widths, whose network has room for the wider."""
FRAME = (48, 64)  # of the camera
READ = """async (background) => {
  const { openPicture, rgbPixels } = await import("/site/picture.mjs");
  const file = await (await fetch("/image", { cache: "reload" })).blob();
  const { width, height, data } = rgbPixels(await openPicture(file), background);
  return [height, width, [...data]];
}"""


@pytest.fixture(scope="module", autouse=True)
def _needed():
    chromium.skip_unless_here()


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with a page of two tasks, of the narrow backbone, and one of relearned kernels."""
    place, root = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("served")
    weights = small.write_backbone(place / "narrow.safetensors")
    patches = [str(exported.patch_file(place, made)) for made in MADE]
    deep = next(entry for entry in PLAIN if entry.name.startswith("depthwise"))
    kernels = str(exported.patch_file(place, exported.contents("kernels", deep)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.TABLES, "narrow", lambda: narrow.TABLE)
        page_folder.write_page(patches, str(weights), root / "site")
        page_folder.write_page([kernels], str(weights), root / "kernels")
        for name, tasks in MAPPED.items():
            own = [str(exported.patch_file(place, mapped.patch(task))) for task in tasks]
            page_folder.write_page(own, str(weights), root / name)
    return root


@pytest.fixture(scope="module")
def browser(root, tmp_path_factory):
    """A Chromium whose camera sees white."""
    film = tmp_path_factory.mktemp("camera") / "white.y4m"
    pixels = FRAME[0] * FRAME[1]
    white = b"FRAME\n" + bytes([235]) * pixels + bytes([128]) * (pixels // 2)
    film.write_bytes(b"YUV4MPEG2 W%d H%d F10:1 Ip A1:1 C420\n" % FRAME[::-1] + 5 * white)
    camera = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    with chromium.opened(root, *camera, f"--use-file-for-fake-video-capture={film}") as opened:
        yield opened


@pytest.fixture
def page(browser):
    """The page, just opened."""
    browser.open("site")
    browser.call("trouble")
    yield browser
    assert browser.call("trouble") == []


def jax_logits(made, images):
    """JAX's, of images [N, size, size, 3] as the network takes them."""
    patched = apply_edits(exported.weights(), made.edits)
    return np.asarray(exported.features(patched, images)) @ made.head["w"] + made.head["b"]


def chosen(page, task):
    """Chooses a task, and waits until it answers."""
    page.call("check", f"input[value={task}]")
    page.wait(f"document.querySelector('#said').innerText.includes({json.dumps(task)})")


def looked_at(page, path):
    """Gives the page an image file, and waits for the answer."""
    page.evaluate("() => document.querySelector('#answers').replaceChildren()")
    page.call("setInputFiles", "#file", str(path))
    page.wait(f"document.querySelector('#answers').children.length || {chromium.REFUSED}")


def answers(page):
    """The page's labels with their probabilities, best first."""
    lines = page.evaluate(
        "() => [...document.querySelectorAll('#answers li')].map((row) => ["
        "row.querySelector('.label').innerText, row.querySelector('meter').value])"
    )
    return dict(lines)


@pytest.mark.parametrize("made", MADE, ids=lambda made: made.task)
def test_logits_are_jax_s(page, root, made):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), np.uint8)
    (root / "pixels").write_bytes(pixels.tobytes())
    got = page.evaluate(
        """async (task) => {
          const { network } = await import("/site/page.mjs");
          const { normalise } = await import("/site/preprocessing.mjs");
          const { preprocessing } = await network.install(task);
          const pixels = new Uint8Array(await (await fetch("/pixels")).arrayBuffer());
          const { predictions } = await network.run(task, normalise(pixels, preprocessing));
          return predictions.map(({ logits }) => [...logits.values]);
        }""",
        made.task,
    )
    wanted = jax_logits(made, normalise(pixels, exported.PREPROCESSING))
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_an_image_file_is_answered_with_the_five_most_probable(page, tmp_path):
    chosen(page, "two")
    (tmp_path / "noise.png").write_bytes(exported.png(4))
    looked_at(page, tmp_path / "noise.png")
    wanted = exported.wanted(MADE[1], exported.png(4))
    five = sorted(wanted, key=wanted.get, reverse=True)[:5]
    assert list(answers(page)) == five
    assert answers(page) == pytest.approx({label: wanted[label] for label in five}, abs=1e-4)
    assert page.text("#answers .probability") == f"{100 * wanted[five[0]]:.1f} %"
    assert "answered in" in page.text("#time")


def test_tasks_are_switched_without_fetching_the_backbone_again(page, root, tmp_path):
    (tmp_path / "noise.png").write_bytes(exported.png(4))
    looked_at(page, tmp_path / "noise.png")
    for made in (MADE[1], MADE[0], MADE[1], MADE[0]):
        chosen(page, made.task)
        label = page.text("#answers .label")
        wanted = exported.wanted(made, exported.png(4))
        assert label == max(wanted, key=wanted.get)
    for file in ("backbone.onnx", "patches/one.safetensors", "patches/two.safetensors"):
        assert page.asked.count(f"/site/{file}") == 1
    assert megabytes(root / "site" / "backbone.onnx") in page.text("#backbone")
    runtime = megabytes(*(root / "site" / "onnxruntime-web").iterdir())
    assert page.text("#runtime") == f"It runs in ONNX Runtime Web: {runtime}."
    for made in MADE:
        file = root / "site" / "patches" / f"{made.task}.safetensors"
        assert megabytes(file) in page.text(f"[data-task={made.task}]")


def megabytes(*paths):
    size = sum(path.stat().st_size for path in paths)
    return f"{size / 1e3:.1f} kB" if size < 1e5 else f"{size / 1e6:.2f} MB"


def test_each_task_says_how_good_it_is(page):
    for made in MADE:
        ((split, score),) = made.scores.items()
        said = page.text(f"[data-task={made.task}] .score")
        assert said == f"{100 * score:.1f} % {made.metric} on {split}"


def test_as_many_labels_are_shown_as_are_wanted(page, tmp_path):
    chosen(page, "two")
    (tmp_path / "noise.png").write_bytes(exported.png(4))
    looked_at(page, tmp_path / "noise.png")
    for typed, count in (("2", 2), ("7.9", 7), ("99", 8), ("", 5), ("-3", 5)):
        page.call("fill", "#top", typed)
        page.call("dispatchEvent", "#top", "change")
        page.wait(f"document.querySelector('#answers').children.length === {count}")


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (390, 844)])
def test_the_answer_is_seen_without_scrolling(page, tmp_path, width, height):
    page.call("setViewportSize", {"width": width, "height": height})
    Image.fromarray(np.zeros((600, 450, 3), np.uint8)).save(tmp_path / "tall.png")
    looked_at(page, tmp_path / "tall.png")
    ends = page.evaluate(
        "() => [...document.querySelectorAll('#answers li')]"
        ".map((row) => row.getBoundingClientRect().bottom + scrollY)"
    )
    assert max(ends[:3]) <= height


def test_a_patch_may_bring_depthwise_kernels(browser):
    """It is installed once it has given the logits that it states."""
    browser.open("kernels")
    assert (browser.text("#refused"), browser.text("#said")) == ("", "kernels is installed.")


SAID = """async ([site, task]) => {
  const load = (name) => import(`/${site}/${name}.mjs`);
  const { network } = await load("page");
  const { answered } = await load("answers");
  const { openPicture, rgbPixels } = await load("picture");
  const { networkInput } = await load("preprocessing");
  const { viewOf } = await load("view");
  const { labels, head, preprocessing } = await network.install(task);
  const file = await (await fetch("/noise.png")).blob();
  const picture = rgbPixels(await openPicture(file), preprocessing.background);
  const { predictions } = await network.run(task, networkInput(picture, preprocessing));
  const { mask, ...said } = answered(head, labels, predictions[0], viewOf(picture, preprocessing));
  return { ...said, mask: mask && [...mask] };
}"""


@pytest.mark.parametrize(
    ("site", "task"), [(site, task) for site, tasks in MAPPED.items() for task in tasks]
)
def test_boxes_and_masks_are_jax_s(browser, root, site, task):
    made, image = mapped.patch(task), exported.png(3)
    (root / "noise.png").write_bytes(image)
    browser.open(site)
    said = browser.evaluate(SAID, [site, task])
    head, predictions = head_of(made), mapped.predicted(made, image)
    width, height = Image.open(io.BytesIO(image)).size
    view = view_of(width, height, Preprocessing.from_json(made.preprocessing))
    listed = head.listed(made.labels, predictions, view)
    assert [one["label"] for one in said["rows"]] == [one["label"] for one in listed]
    if site == "objects":
        corners = np.array([one["box"] for one in said["boxes"]])
        corners[:, 2:] -= corners[:, :2]
        assert len(corners) > 1
        np.testing.assert_allclose(corners, [one["bbox"] for one in listed], atol=0.05)
    else:
        mask = np.reshape(said["mask"], (height, width))
        assert (mask == head.mask(made.labels, predictions, view)).mean() > 0.99


@pytest.mark.parametrize(("site", "task"), [("objects", "square"), ("regions", "lights")])
def test_what_is_found_is_drawn_over_the_picture(browser, root, tmp_path, site, task):
    (tmp_path / "noise.png").write_bytes(exported.png(3))
    browser.open(site)
    browser.call("trouble")
    chosen(browser, task)
    looked_at(browser, tmp_path / "noise.png")
    assert next(iter(answers(browser))) in mapped.patch(task).labels
    pixels = browser.evaluate(
        "() => { const canvas = document.querySelector('#picture');"
        "return [...canvas.getContext('2d')"
        ".getImageData(0, 0, canvas.width, canvas.height).data]; }"
    )
    shown = np.reshape(pixels, (-1, 4))[:, :3]
    plain = np.asarray(Image.open(tmp_path / "noise.png").convert("RGB")).reshape(-1, 3)
    if site == "objects":
        assert (shown == COLOURS[0]).all(axis=1).any()
    else:
        halves = (plain[:, None].astype(int) + np.array(COLOURS[:3])) // 2
        assert (shown[:, None] == halves).all(axis=2).any(axis=1).all()
    assert browser.call("trouble") == []


def test_nothing_is_asked_of_any_other_address(page, root):
    given = {f"/site/{path.relative_to(root / 'site')}" for path in (root / "site").rglob("*.*")}
    assert set(page.asked) <= given | {"/site/"}
    resources = page.evaluate("() => performance.getEntriesByType('resource').map((e) => e.name)")
    assert len(resources) > 5
    assert all(name.startswith(page.address) for name in resources)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(
    "shape", [(32, 32), (1, 1), (8, 8), (31, 33), (7, 300), (301, 8), (233, 310), (310, 50)]
)
def test_pixels_are_pillow_s_to_the_bit(page, root, shape, fit):
    height, width = shape
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    image = Image.fromarray(pixels)
    image.save(root / "image.png")
    preprocessing = Preprocessing(32, (1.0, 2.5, 130.1), (3.0, 60.7, 127.5), fit, (9, 200, 30))
    got = page.evaluate(
        """async (preprocessing) => {
          const { openPicture, rgbPixels } = await import("/site/picture.mjs");
          const { networkInput, prepare } = await import("/site/preprocessing.mjs");
          const file = await (await fetch("/image.png", { cache: "reload" })).blob();
          const picture = rgbPixels(await openPicture(file), preprocessing.background);
          const { width, height } = picture;
          const [pixels, input] = [prepare, networkInput].map((f) => f(picture, preprocessing));
          return { width, height, pixels: [...pixels], input: [...input] };
        }""",
        preprocessing.to_json(),
    )
    wanted = prepare(image, preprocessing)
    assert (got["height"], got["width"]) == (height, width)
    np.testing.assert_array_equal(np.reshape(got["pixels"], wanted.shape), wanted)
    normalised = normalise(wanted, preprocessing)
    np.testing.assert_array_equal(np.float32(got["input"]), normalised.ravel())


def read(page, root, content, background=(255, 255, 255)):
    """The page's RGB pixels [H, W, 3] of an image file."""
    (root / "image").write_bytes(content)
    height, width, pixels = page.evaluate(READ, background)
    return np.reshape(pixels, (height, width, 3))


def picture():
    """A picture with smooth parts and edges."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((200, 150), Image.Resampling.BICUBIC)
    ImageDraw.Draw(smooth).ellipse((30, 40, 120, 130), fill=(250, 10, 10))
    return smooth


SIDEWAYS = Image.Exif()
SIDEWAYS[ExifTags.Base.Orientation] = 6


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        ("RGB", {"format": "JPEG", "quality": 90}),
        ("RGB", {"format": "JPEG", "quality": 90, "progressive": True, "exif": SIDEWAYS}),
        ("L", {"format": "JPEG", "quality": 90}),
        ("CMYK", {"format": "JPEG", "quality": 95}),
        ("RGB", {"format": "WEBP", "quality": 90}),
        ("P", {"format": "GIF"}),
        ("P", {"format": "PNG"}),
        ("I;16", {"format": "PNG"}),
        ("RGB", {"format": "BMP"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_files_are_read_as_pillow_reads_them(page, root, mode, settings):
    """Debian's Chromium and Pillow decode with the same libraries; other browsers may differ."""
    image, file = picture(), io.BytesIO()
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257 + 77)
    else:
        image = image.convert(mode)
    image.save(file, **settings)
    got = read(page, root, file.getvalue())
    np.testing.assert_array_equal(got, np.asarray(decode(file.getvalue())))


def test_transparent_pixels_are_laid_over_the_patch_s_background(page, root):
    pixels = np.random.default_rng(1).integers(0, 256, (20, 20, 4), np.uint8)
    file, background = io.BytesIO(), (250, 10, 90)
    Image.fromarray(pixels).save(file, "PNG")
    got = read(page, root, file.getvalue(), background)
    wanted = np.asarray(decode(file.getvalue(), background), np.int64)
    # A browser keeps colours multiplied with their opacity, and rounds them once more for it.
    assert np.abs(got - wanted).max() <= 2


def test_what_is_no_image_is_refused(page, tmp_path):
    (tmp_path / "notes.png").write_text("no image")
    looked_at(page, tmp_path / "notes.png")
    assert page.text("#refused") == ("notes.png: it is no image of a kind that this browser reads.")
    (tmp_path / "noise.png").write_bytes(exported.png(4))
    looked_at(page, tmp_path / "noise.png")
    assert page.text("#refused") == ""
    assert len(answers(page)) == 3


def test_the_camera_is_looked_at_until_it_is_stopped(page):
    file = io.BytesIO()
    Image.new("RGB", FRAME[::-1], "white").save(file, "PNG")
    wanted = exported.wanted(MADE[0], file.getvalue())
    page.call("click", "#camera")
    page.wait("document.querySelector('#answers').children.length")
    page.evaluate("() => document.querySelector('#answers').replaceChildren()")
    page.wait("document.querySelector('#answers').children.length")  # of a later frame
    assert answers(page) == pytest.approx(wanted, abs=0.01)
    shown = "const { height, width } = document.querySelector('#picture'); return [height, width];"
    assert page.evaluate(f"() => {{ {shown} }}") == list(FRAME)
    chosen(page, "two")
    page.wait("document.querySelector('#time').innerText.startsWith('two')")
    page.call("click", "#camera")
    page.wait("document.querySelector('#camera').innerText === 'Use the camera'")
    page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 300))")
    page.evaluate("() => document.querySelector('#answers').replaceChildren()")
    page.evaluate("() => new Promise((resolve) => setTimeout(resolve, 300))")
    assert answers(page) == {}


def other_weights(made, inputs):
    return dataclasses.replace(made, fingerprint="0" * 64), inputs


def other_size(made, inputs):
    return dataclasses.replace(made, preprocessing={**made.preprocessing, "size": 64}), inputs


def other_head(made, inputs):
    return dataclasses.replace(made, head={**made.head, "b": made.head["b"][::-1].copy()}), inputs


def no_number(made, inputs):
    name = min(inputs)
    return made, {**inputs, name: np.full_like(inputs[name], np.nan)}


def one_missing(made, inputs):
    return made, {name: given for name, given in inputs.items() if name != min(inputs)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_weights, "the patch is for other weights than this page's narrow"),
        (other_size, "the patch is for images of 64 pixels, not 32"),
        (other_head, "logits differ by up to"),
        (no_number, "holds what is no finite number"),
        (one_missing, "the patch lacks block_"),
    ],
)
def test_a_patch_that_does_not_fit_is_refused_and_the_one_before_answers(
    browser, root, tmp_path, change, said
):
    inputs = patch_inputs(exported.weights(), narrow.EPSILON, MADE[1].edits, signatures.NORMS)
    site = copied(root, change.__name__)
    file = site / "patches" / "two.safetensors"
    write_inputs(file, *change(MADE[1], inputs))
    manifest = json.loads((site / "manifest.json").read_text())
    manifest["patches"][1]["sha256"] = hashlib.sha256(file.read_bytes()).hexdigest()
    (site / "manifest.json").write_text(json.dumps(manifest))
    still_answers(browser, site, tmp_path, said)


def test_a_changed_file_is_refused(browser, root, tmp_path):
    site = copied(root, "changed")
    file = site / "patches" / "two.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\0")
    still_answers(
        browser, site, tmp_path, "two.safetensors is not the file that this page was made"
    )


def test_a_changed_backbone_is_refused(browser, root):
    site = copied(root, "changed_backbone")
    (site / "backbone.onnx").write_bytes((site / "backbone.onnx").read_bytes()[:-1] + b"\0")
    browser.open(site.name)
    assert "backbone.onnx is not the file that this page was made with" in browser.text("#refused")


def test_a_page_that_trusts_a_key_starts_what_it_signed_and_nothing_else(browser, root):
    maker = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    site = copied(root, "signed")
    page_folder._write_trusted(
        site / "index.html", {maker.public_key().public_bytes_raw(): TrustedKey("maker.pub")}
    )
    browser.open(site.name)
    assert "folder.sig cannot be fetched" in browser.text("#refused")
    (site / signed_folder.NAME).write_bytes(signed_folder.sign_folder(site, maker))
    browser.open(site.name)
    assert browser.text("#refused") == ""
    assert "Its files are those that were signed." in browser.text("#runtime")
    manifest = site / "manifest.json"
    manifest.write_text(manifest.read_text() + " ")
    browser.open(site.name)
    assert "manifest.json is not the file that was signed" in browser.text("#refused")


def test_a_page_that_is_opened_as_a_file_says_why_it_does_not_start(browser, root):
    browser.call("goto", (root / "site" / "index.html").as_uri())
    browser.wait(chromium.REFUSED)
    assert "from a file" in browser.text("#refused")


def copied(root, name) -> pathlib.Path:
    """The page once more, to be changed."""
    site = root / name
    for path in (root / "site").rglob("*.*"):
        copy = site / path.relative_to(root / "site")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    return site


def still_answers(browser, site, tmp_path, said):
    """Choosing `two` is refused with these words, and `one` still answers."""
    browser.open(site.name)
    browser.call("click", "input[value=two]")
    browser.wait(chromium.REFUSED)
    assert said in browser.text("#refused")
    assert browser.evaluate("() => document.querySelector('input:checked').value") == "one"
    (tmp_path / "noise.png").write_bytes(exported.png(4))
    looked_at(browser, tmp_path / "noise.png")
    wanted = exported.wanted(MADE[0], exported.png(4))
    assert answers(browser) == pytest.approx(wanted, abs=1e-4)
