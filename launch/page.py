"""Makes a web page that answers in the browser: one backbone, and any number of patches.

    npm ci --prefix javascript/browser
    launch/page out/*.patch --out=site
    python3 -m http.server --directory=site

The first fetches ONNX Runtime Web, which the page brings along: it asks no other address for
anything. The folder is static, for any web server; elsewhere than on localhost browsers want https.
All patches belong to one backbone and one image size, and have one kind of head: classes, boxes or
masks, which the page draws. With --trusted=keys/maker.pub the page starts
only what that key vouches for: sign the folder then, with launch/sign site --key=keys/maker.
docs/export.md goes on from here.
"""

from collections.abc import Sequence

from absl import app, flags

from adapters.experiment import page_folder
from adapters.export.onnx.installed import check_installed
from adapters.store.keys import read_trusted_keys
from launch import command, shared_flags

_OUT = flags.DEFINE_string("out", None, "The folder to write.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace the page that is there.")
_WEIGHTS = shared_flags.weights()
_TRUSTED = shared_flags.trusted()


def main(arguments: Sequence[str]) -> None:
    """Checks every patch, writes the folder, and says how large everything is."""
    paths = arguments[1:]
    if not paths or _OUT.value is None:
        raise app.UsageError(
            "give patch files, and the folder to write: launch/page out/*.patch --out=site"
        )
    check_installed()
    out = page_folder.place(_OUT.value, _OVERWRITE.value)
    trusted = None if _TRUSTED.value is None else read_trusted_keys(_TRUSTED.value)
    print(page_folder.write_page(paths, _WEIGHTS.value, out, trusted))
    print(f"To look at it: python3 -m http.server --directory={out}")


if __name__ == "__main__":
    command.run(main)
