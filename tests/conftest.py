"""Before any test imports TensorFlow: legacy Keras behind `tf.keras`, and no chatter from its C++ side. And fixtures for all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["EDGEPROOF_BOARDS"] = str(Path(__file__).with_name("no_boards.json"))  # not those that the user measured

from edgeproof.console import Console
from tests.boards import board, boards, supply_here  # noqa: F401 - fixtures for all
from tests.bundles import bundle_here, bundled_workspace  # noqa: F401
from tests.pipelines import digits_run, twin_folder, twin_run  # noqa: F401
from tests.reporting import tiny_judged  # noqa: F401
from tests.showing import shown  # noqa: F401
from tests.simulated import judged_on_pi4, pi4  # noqa: F401

# A background job starts with SIGINT ignored, and so would every command that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time, and none refused for a slow moment of the machine.
hypothesis.settings.register_profile("edgeproof", derandomize=True, deadline=None)
hypothesis.settings.load_profile("edgeproof")

TINY_BIAS = (0.125, -0.25, 0.375)  # exact in binary: tests find these bytes in the float files and damage them
_EXPORT_TINY = "import sys; from tests.conftest import export_tiny; export_tiny(sys.argv[1])"


@pytest.fixture(scope="session")
def tiny_images() -> np.ndarray:
    """uint8 [96, 8, 8, 1]: noise around edges of every brightness and direction, on which the tiny classifier has all three opinions."""
    return make_tiny_images(96, seed=1)


@pytest.fixture(scope="session")
def tiny_artifacts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An untrained classifier of 8×8×1 pictures into a, b, c, by format name. Exported by a process of its own: TensorFlow and
    tflite-runtime cannot live in one."""
    folder = tmp_path_factory.mktemp("tiny")
    done = subprocess.run([sys.executable, "-c", _EXPORT_TINY, folder], cwd=Path(__file__).parent.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {path.stem.removeprefix("tiny-"): path for path in sorted(folder.iterdir())}


@pytest.fixture
def new_console() -> Iterator[Callable[..., Console]]:
    """Makes consoles on the descriptors as they are now, and closes their files."""
    made: list[Console] = []

    def make(**options: bool) -> Console:
        made.append(Console(**options))
        return made[-1]

    yield make
    for console in made:
        console._out.file.close()
        console._err.file.close()


def make_tiny_images(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    steps = np.arange(8.0) - 3.5
    slopes = rng.normal(0, 30, (count, 2, 1, 1))
    edges = slopes[:, 0] * steps + slopes[:, 1] * steps[:, np.newaxis] + rng.integers(0, 256, (count, 1, 1))
    return np.clip(edges + rng.normal(0, 10, (count, 8, 8)), 0, 255).astype(np.uint8)[..., np.newaxis]


def export_tiny(folder: str) -> None:
    """Write tiny-<format>.<suffix> for every format of a fixed random network."""
    import tf_keras

    from edge_runtime.metadata import ModelMetadata
    from edge_runtime.preprocess import Preprocessing
    from export import embed
    from export.formats import Sources, Trained, choose_formats
    from train import fold, qat

    tf_keras.utils.set_random_seed(0)
    layers = tf_keras.layers
    model = tf_keras.Sequential([layers.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D(), layers.Dense(3)])
    kernel, _ = model.layers[-1].get_weights()
    model.layers[-1].set_weights([8 * kernel, np.array(TINY_BIAS)])
    contract, images = Preprocessing(8, 8, 1), make_tiny_images(64, seed=0)
    folded = fold.fold(model).model
    trained = qat.quantize_aware(folded, images, contract)
    trained_facts = Trained(trained, qat.float_twin(trained, folded), qat.activation_ranges(trained))
    sources = Sources(folded, contract.normalize(images), softmax=False, trained=trained_facts)
    for format in choose_formats():
        add = embed.embed_tflite if format.family == "tflite" else embed.embed_onnx
        metadata = ModelMetadata(name="tiny", format=format.name, class_names=("a", "b", "c"), preprocessing=contract)
        (Path(folder) / f"tiny-{format.name}{format.suffix}").write_bytes(add(format.convert(sources), metadata))
