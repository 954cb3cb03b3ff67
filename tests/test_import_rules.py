"""The arrows between the packages hold, and nothing heavy loads where it must not."""

from __future__ import annotations

import ast
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("train", "export", "benchmarks", "edge_runtime", "edgeproof")
ALLOWED = {
    "edge_runtime": {"edge_runtime"},
    "train": {"train", "edge_runtime"},
    "export": {"export", "edge_runtime"},
    "benchmarks": {"benchmarks", "edge_runtime"},
    "edgeproof": set(PACKAGES),
}
TENSORFLOW = {"tensorflow", "tf_keras", "tensorflow_model_optimization", "tf2onnx", "keras"}
TENSORFLOW_HOMES = ("train/", "export/to_tflite.py", "export/to_onnx.py", "export/partial.py", "export/peers.py")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def _imports(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_packages_import_only_along_the_arrows(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    ours = _imports(ast.parse(path.read_text())) & set(PACKAGES)
    if path.name == "__main__.py" and package in ("train", "export", "benchmarks"):
        assert ours == {"edgeproof"}, "only hands over to the command line"
        assert len(path.read_text().splitlines()) <= 3
    else:
        assert ours <= ALLOWED[package]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tensorflow_is_imported_in_its_homes_and_inside_functions_only(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    tree = ast.parse(path.read_text())
    if not name.startswith(TENSORFLOW_HOMES):
        assert not _imports(tree) & TENSORFLOW
    top_level = ast.Module([node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))], [])
    assert not _imports(top_level) & TENSORFLOW


def _loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_help_loads_neither_tensorflow_nor_numpy_nor_pandas() -> None:
    assert not _loaded_by("from edgeproof.cli import main; main(['--help'])") & (TENSORFLOW | {"numpy", "pandas", "onnxruntime", "scipy"})


@pytest.mark.parametrize(
    "module", ["edge_runtime.jobs", "benchmarks.parity", "benchmarks.latency", "export.audit", "train.datasets", "edgeproof.cli"]
)
def test_importing_it_loads_no_tensorflow(module: str) -> None:
    assert not _loaded_by(f"import {module}") & TENSORFLOW


def test_the_device_side_imports_numpy_and_nothing_else_of_the_toolkit() -> None:
    ours = {"train", "export", "benchmarks", "edgeproof"}
    toolkit = {"pandas", "sklearn", "scipy", "matplotlib", "typer", "rich", "onnx", "onnxruntime", "PIL"}
    loaded = _loaded_by("import edge_runtime.jobs, edge_runtime.worker, edge_runtime.__main__")
    assert "numpy" in loaded
    assert not loaded & (ours | toolkit | TENSORFLOW)


def test_help_takes_less_than_half_a_second() -> None:
    spent = []
    for _ in range(3):  # the best of three, in processor time: a busy machine must not fail it
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-m", "edgeproof", "--help"], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) < 0.5
