"""Mixed precision over a workspace: the layer whose quantization was damaged is the one that is kept float."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from edge_runtime.metadata import read_tflite_metadata
from edgeproof.stages.mixing import price_table
from export.audit import audit
from export.mixed import Judgement, LayerPrice, Mix, Price
from export.partial import float_layers
from tests.pipelines import Run, run

LAYERS = ["conv2d", "conv2d_1", "dense"]
DAMAGED = "conv2d_1"

_DAMAGE = """
import sys
from pathlib import Path
import train
from train.model_files import model_bytes
from train.qat import load_qat
path, layer, endings, factor = Path(sys.argv[1]), *sys.argv[2:]
model = load_qat(path)
for weight in model.get_layer(f"quant_{layer}").weights:
    if weight.name.split(":")[0].endswith(tuple(endings.split(","))):
        weight.assign(weight * float(factor))
path.write_bytes(model_bytes(model, ".h5"))
"""
_MIX = """
import json, sys
from pathlib import Path
from edge_runtime.errors import EdgeproofError
from edgeproof.console import Console
from edgeproof.stages.mixing import mix, price_table
from edgeproof.workspace import Workspace
console = Console()
try:
    result = mix(Workspace(sys.argv[1]), console, float(sys.argv[2]))
except EdgeproofError as error:
    sys.exit(f"{type(error).__name__}: {error}")
if result.content:
    Path("mixed.tflite").write_bytes(result.content)
console.show(price_table(result))
console.show(json.dumps(result.to_dict()))
"""


@dataclass(frozen=True)
class Mixing:
    """What became of mixing a workspace: the fields of the result, the printed table, what was said, the file."""

    fields: dict[str, Any]
    table: str
    said: str
    file: Path


def mixed(finished: Run, folder: Path, margin_pp: float, damage: tuple[str, str, str] | None = None) -> Mixing:
    """Mix a copy of a finished workspace, its QAT model damaged before: (layer, endings of variables, factor)."""
    shutil.copytree(finished.workspace, folder / "w")
    (folder / "pictures").symlink_to(finished.workspace.parent / "pictures")
    (folder / "w/validation.npz").unlink()
    before = {path: path.stat().st_mtime_ns for path in (folder / "w").rglob("*")}
    if damage:
        subprocess.run([sys.executable, "-c", _DAMAGE, "w/qat.h5", *damage], cwd=folder, check=True, capture_output=True)
        before[folder / "w/qat.h5"] = (folder / "w/qat.h5").stat().st_mtime_ns
    done = subprocess.run([sys.executable, "-c", _MIX, "w", str(margin_pp)], cwd=folder, capture_output=True, text=True)
    assert {path: path.stat().st_mtime_ns for path in (folder / "w").rglob("*")} == before, "nothing written"
    fields = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {}
    return Mixing(fields, done.stdout, done.stderr, folder / "mixed.tflite")


@pytest.fixture(scope="module")
def damaged(twin_run: Run, tmp_path_factory: pytest.TempPathFactory) -> Mixing:
    """One layer's weights rounded by ranges 200 times too wide: to nothing but zeros and ones. As float numbers they are unharmed."""
    return mixed(twin_run, tmp_path_factory.mktemp("damaged"), 8.0, (DAMAGED, "kernel_min,kernel_max", "200"))


def test_the_damaged_layer_is_kept_float_and_no_other(damaged: Mixing) -> None:
    assert damaged.fields["kept_float"] == [DAMAGED], damaged.said
    assert damaged.fields["certified"] is True
    assert damaged.fields["mixed"]["upper_pp"] <= 8 < damaged.fields["int8"]["upper_pp"]
    assert damaged.fields["conversions"] == 2 + len(LAYERS)


def test_the_file_is_float_there_and_int8_elsewhere(damaged: Mixing) -> None:
    content = damaged.file.read_bytes()
    assert float_layers(content, LAYERS) == {DAMAGED}
    assert not audit(content).is_int8


def test_the_command_keeps_the_file_with_its_prices_and_its_name(damaged: Mixing, twin_run: Run) -> None:
    folder = damaged.file.parent
    shutil.copy(twin_run.workspace / "validation.npz", folder / "w")
    done = run("export", "tflite", "--mixed", "--max-drop", "8", "-w", "w", cwd=folder)
    assert done.code == 0, done.stderr
    assert f"Kept 1 of 3 layers float ({DAMAGED})" in done.stderr
    facts = json.loads((folder / "w/artifacts/manifest.json").read_text())["artifacts"]["stranger-tflite-mixed.tflite"]
    assert (facts["format"], facts["audit"]["precision"], facts["mixed"]["kept_float"]) == ("tflite-mixed", "mixed", [DAMAGED])
    assert facts["tried"] == ["ai-edge-litert", "tflite-runtime"]
    metadata = read_tflite_metadata((folder / "w/artifacts/stranger-tflite-mixed.tflite").read_bytes())
    assert metadata is not None
    assert metadata.format == "tflite-mixed"


def test_every_layer_has_its_price(damaged: Mixing) -> None:
    prices = damaged.fields["prices"]
    assert [price["layer"] for price in prices] == LAYERS
    assert [price["kept_float"] for price in prices] == [layer == DAMAGED for layer in LAYERS]
    undone = {price["layer"]: price["flips_undone"] for price in prices}
    assert undone[DAMAGED] > 10
    assert undone[DAMAGED] == max(undone.values()) == damaged.fields["total"]["flips_undone"]
    assert all(price["bytes"] > 0 for price in prices)
    assert all(price["microseconds"] != 0 for price in prices)
    lines = [line.split()[:3] for line in damaged.table.splitlines()]
    assert [DAMAGED, "float", str(undone[DAMAGED])] in lines


def test_it_says_what_it_did_in_one_sentence(damaged: Mixing) -> None:
    sentence = damaged.fields["sentence"]
    assert sentence.startswith(f"Kept 1 of {len(LAYERS)} layers float ({DAMAGED}): {damaged.fields['total']['flips_undone']} of ")
    assert f"on {damaged.fields['images']:,} selection images" in sentence


def test_an_int8_model_within_the_margin_is_left_alone(twin_run: Run, tmp_path: Path) -> None:
    result = mixed(twin_run, tmp_path, 2.0)
    assert result.fields["sentence"].startswith("int8 already within the margin"), result.said
    assert result.fields["kept_float"] == []
    assert not result.file.exists()
    assert result.fields["certified"] is False
    assert "selection images cannot certify a drop of at most 2 pp" in result.said


def test_what_float_layers_cannot_mend_is_refused_in_one_line(twin_run: Run, tmp_path: Path) -> None:
    result = mixed(twin_run, tmp_path, 5.0, ("dense", "kernel,bias", "0"))
    assert result.fields == {}
    error = next(line for line in result.said.splitlines() if "Error" in line)
    assert error.startswith("ModelError: Even with every layer float the drop is ")
    assert "the best reached" in error
    assert "Traceback" not in result.said


def test_a_layers_name_is_no_markup() -> None:
    judgement = Judgement(0.0, 0.0, 0, 0)
    prices = (LayerPrice(1, 2, 3.0, "conv[red]", kept_float=True),)
    table = price_table(Mix(None, (), prices, "", 1.0, True, 10, judgement, judgement, Price(0, 0, 0.0), 1))
    console = Console(file=io.StringIO(), width=100)
    console.print(table)
    assert "conv[red]" in console.file.getvalue()  # type: ignore[attr-defined]
