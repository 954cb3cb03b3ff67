"""README's picture of the dashboard: its first screen, as the committed reference run fills it.

The picture says in its own metadata (PNG's `Description`) what its parts of the page say: so a test tells whether it is of this run and this
page, whatever fonts a machine has.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.dashboard import render
from benchmarks.outputs import Outputs
from benchmarks.page.subject import Subject, Validation
from benchmarks.peers import read_peers
from benchmarks.tables import DEFAULT, FOLDER, read_reference
from evidence import page_checks

PICTURE = Path("docs/figures/dashboard.png")  # beside README
WORDS = "Description"
_HIDE_SCROLLBAR = "document.documentElement.style.scrollbarWidth = 'none'"
_WORDS = """[...document.querySelectorAll("main :is(h1, h2, li, p, th, td)")]
  .filter((one) => one.compareDocumentPosition(document.querySelector(".filters")) & Node.DOCUMENT_POSITION_FOLLOWING)
  .map((one) => one.innerText.replace(/\\s+/g, " ").trim()).join("\\n")"""
_HEIGHT = 1080  # pixels: down to the other tools' rows


def reference_subject(folder: Path = FOLDER) -> Subject:
    """What is known of the default recipe without its workspace. No images, and no answers to single ones: parts further down stay empty."""
    reference = read_reference(DEFAULT, folder)
    return Subject(
        name="default",
        option="",
        parity=reference.parity,
        manifest=reference.manifest,
        dataset={},
        training={},
        validation=Validation(images=np.zeros((0, 1, 1, 1), np.uint8), labels=np.zeros(0, int), baseline=np.zeros((0, 1))),
        outputs=_no_outputs,
        latency=[reference.latency],
        counted=list(reference.counts.values()),
        peers=read_peers(folder / "peers.json"),
    )


def _no_outputs(row: int) -> Outputs:
    raise KeyError(row)  # the reference lists no flips


def take_picture(path: Path, folder: Path = FOLDER) -> str:
    """Write the first screen, light, on a desktop, to a PNG file; the words of its parts, one line a heading, paragraph or cell.

    RuntimeMissingError without a browser.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    with TemporaryDirectory(prefix="edgeproof-") as place:
        page, shot = Path(place) / "dashboard.html", Path(place) / "shot.png"
        page.write_text(render([reference_subject(folder)]))
        with page_checks.opened(page, page_checks.DESKTOP, _HEIGHT) as browser:
            browser.run(_HIDE_SCROLLBAR)
            words = str(browser.run(_WORDS))
            browser.screenshot(shot)
        described = PngInfo()
        described.add_itxt(WORDS, words)
        path.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(shot) as picture:
            picture.save(path, pnginfo=described, optimize=True)
    return words


def words_of(path: Path) -> str:
    """The words in a picture that `take_picture` wrote; "" for any other."""
    from PIL import Image

    with Image.open(path) as picture:
        return str(getattr(picture, "text", {}).get(WORDS, ""))
