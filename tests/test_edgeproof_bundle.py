"""`edgeproof bundle`: which model goes in, what the file does on its own, and what a signed one refuses."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.targets.simulated import SimulatedTarget
from edge_runtime.errors import EdgeproofError, InputError, MissingInputError
from edge_runtime.machine import this_machine
from edge_runtime.preprocess import Preprocessing
from edge_runtime.signature import verify
from edgeproof.console import Console
from edgeproof.stages.packing import choose_payload, named_payload
from edgeproof.stages.shipping import Signing, bundle
from edgeproof.workspace import Workspace
from export.signing import sign, signers
from tests.boards import Board
from tests.bundles import RUNTIME, rewritten, start

# The smallest that passed, another that passed, and one that failed.
MODEL, OTHER, FAILED = "tiny-tflite-float32.tflite", "tiny-tflite-int8.tflite", "tiny-tflite-dynamic.tflite"
_INSIDE = "site-packages/edge_bundle/"


@pytest.fixture
def workspace(bundled_workspace: Workspace, tmp_path: Path) -> Workspace:
    shutil.copytree(bundled_workspace.path, tmp_path / "w")
    return Workspace(tmp_path / "w")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("key") / "key")


@pytest.fixture(scope="module")
def signed(bundled_workspace: Workspace, key: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle for this machine that requires its signature."""
    path = tmp_path_factory.mktemp("signed") / "tiny.pyz"
    done = command("-w", bundled_workspace.path, "--for", "local", "--runtime", RUNTIME, "--sign", key, "--require-signature", "--out", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def signed_root(signed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the signed bundle has unpacked itself."""
    root = tmp_path_factory.mktemp("root")
    assert start(signed, "selftest", root=root).returncode == 0
    return root


@pytest.fixture
def picture(tmp_path: Path, tiny_images: np.ndarray) -> Path:
    Image.fromarray(tiny_images[0, :, :, 0]).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`edgeproof bundle …`"""
    return subprocess.run([sys.executable, "-P", "-m", "edgeproof", "bundle", *map(str, arguments)], capture_output=True, text=True)


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def test_the_smallest_that_passed_goes_in_with_its_verdict(workspace: Workspace, new_console: Callable[..., Console]) -> None:
    payload = choose_payload(workspace, new_console(), [RUNTIME])
    assert (payload.model, payload.verdict, payload.margin_pp) == (MODEL, "PASS", 5.0)
    assert {(row["artifact"], row["runtime"], row["kernels"]) for row in payload.rows} == {(MODEL, RUNTIME, "default")}
    assert payload.golden is not None
    assert payload.golden[0] == "tiny.golden.npz"


def test_with_onnx_runtime_the_onnx_artifacts_that_passed_go_along(workspace: Workspace, new_console: Callable[..., Console]) -> None:
    payload = choose_payload(workspace, new_console(), ["onnxruntime"])
    assert sorted(payload.models) == ["tiny-onnx-float32.onnx", "tiny-onnx-int8.onnx"]
    both = choose_payload(workspace, new_console(), [RUNTIME, "onnxruntime"])
    assert both.model == MODEL
    assert len(both.models) == 3


def test_nothing_unproved_goes_in_unasked(workspace: Workspace, new_console: Callable[..., Console]) -> None:
    parity = workspace.read_json("parity.json")
    for row in parity["rows"]:
        if row["runtime"] == RUNTIME:
            row["verdict"] = "INCONCLUSIVE"
    workspace.write_json("parity.json", parity)
    with pytest.raises(InputError, match=f"No artifact has a PASS on {RUNTIME}, .*bundle with --runtime .*onnxruntime, where some did, or name"):
        choose_payload(workspace, new_console(), [RUNTIME])
    (workspace / "parity.json").unlink()
    with pytest.raises(MissingInputError, match="run `edgeproof parity"):
        choose_payload(workspace, new_console(), [RUNTIME])


def test_a_verdict_on_another_file_of_that_name_is_none(workspace: Workspace, new_console: Callable[..., Console]) -> None:
    parity = workspace.read_json("parity.json")
    for row in parity["rows"]:
        row["sha256"] = "ab" * 32
    workspace.write_json("parity.json", parity)
    with pytest.raises(InputError, match="No artifact has a PASS"):
        choose_payload(workspace, new_console(), [RUNTIME])


def test_a_file_that_is_named_goes_in_with_what_is_known_of_it(workspace: Workspace, tmp_path: Path) -> None:
    failing = named_payload(workspace, workspace / f"artifacts/{FAILED}", [RUNTIME])
    assert (failing.model, failing.verdict) == (FAILED, "FAIL")
    stranger = Path(shutil.copy(workspace / f"artifacts/{MODEL}", tmp_path / "stranger.tflite"))
    stranger.write_bytes(stranger.read_bytes() + b"\0")
    unknown = named_payload(workspace, stranger, [RUNTIME])
    assert (unknown.model, unknown.verdict, unknown.golden) == ("stranger.tflite", "not judged", None)
    with pytest.raises(InputError, match="is a .tflite file, which onnxruntime does not open"):
        named_payload(workspace, stranger, ["onnxruntime"])


@pytest.fixture(scope="module")
def for_pi4(bundled_workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `edgeproof bundle --for pi4 --json` says."""
    folder = tmp_path_factory.mktemp("pi4")
    shutil.copytree(bundled_workspace.path, folder / "w")
    done = command("-w", folder / "w", "--for", "pi4", "--runtime", RUNTIME, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_file_for_a_pi4_is_small_and_says_what_it_is(for_pi4: dict[str, Any]) -> None:
    assert for_pi4["bundle"].endswith("w/bundles/tiny-tflite-float32-pi4-bookworm.pyz")
    assert for_pi4["machine"] == {"architecture": "aarch64", "python": [3, 11], "libc": "glibc 2.36"}
    assert for_pi4["verdict"] == "PASS"
    assert for_pi4["bytes"] <= (25_000_000 if RUNTIME == "tflite-runtime" else 30_000_000)
    names = zipfile.ZipFile(for_pi4["bundle"]).namelist()
    assert {f"site-packages/{name}" for name in ("starlette/__init__.py", "uvicorn/__init__.py", "PIL/Image.py")} <= set(names)
    libraries = {name for name in names if ".so" in name and ("aarch64" in name or "x86_64" in name)}
    assert libraries
    assert not [name for name in libraries if "x86_64" in name]
    manifest = json.loads(zipfile.ZipFile(for_pi4["bundle"]).read(f"{_INSIDE}manifest.json"))
    assert (manifest["model"], manifest["golden"], manifest["runtime"]) == (MODEL, "tiny.golden.npz", RUNTIME)
    assert [row["verdict"] for row in manifest["verdict"]] == ["PASS"]


def test_on_a_simulated_pi4_without_a_network_it_answers_as_here(
    for_pi4: dict[str, Any], pi4: SimulatedTarget, signed: Path, signed_root: Path, picture: Path, tmp_path: Path
) -> None:
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody take the network away from a process (unshare)")
    system, environment = pi4.system(), {"PATH": os.environ["PATH"], "SHIV_ROOT": str(tmp_path / "root")}
    emulated = [*alone, "qemu-aarch64", "-cpu", pi4.board.core, "-L", str(system), f"{system}/usr/bin/python3.11", "-I", "-B", for_pi4["bundle"]]

    def on_the_board(*arguments: str | Path) -> str:
        done = subprocess.run([*emulated, *map(str, arguments)], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert on_the_board("selftest").startswith("PASS: ")
    there, here = on_the_board("classify", "--json", picture), start(signed, "classify", "--json", picture, root=signed_root).stdout
    assert json.loads(there)["top"][0] == pytest.approx(json.loads(here)["top"][0], abs=1e-5)


def test_a_board_behind_ssh_is_looked_at(board: Board, workspace: Workspace, new_console: Callable[..., Console]) -> None:
    built = bundle(workspace, new_console(), board=board.name, runtimes=[RUNTIME])
    assert built.machine == this_machine()
    assert built.path == workspace / "bundles/tiny-tflite-float32-127.0.0.1.pyz"
    assert built.path.stat().st_size > 1_000_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"board": "zero"}, "no wheels exist for its ARMv6 processor"),
        ({"board": "pi4", "system": "trixie-32"}, "publish no wheels for 32-bit ARM"),
        ({"board": "pi6"}, "Unknown board 'pi6'"),
        ({"board": "local", "system": "trixie"}, "--os says nothing about local"),
        ({"board": "ssh://nobody@127.0.0.1:9"}, "ssh://nobody@127.0.0.1:9 .*refused"),
        ({"board": "ssh://-oProxyCommand=x"}, "expected ssh://host, ssh://user@host"),
        ({"board": "local", "signing_with": Signing(Path("no-such-key"), False)}, "Cannot sign with no-such-key: there is no such file"),
    ],
)
def test_a_mistake_is_named_and_nothing_is_written(
    options: dict[str, Any], message: str, workspace: Workspace, new_console: Callable[..., Console]
) -> None:
    with pytest.raises(EdgeproofError, match=message):
        bundle(workspace, new_console(), **options)
    assert not workspace.has("bundles")


def test_a_signature_is_required_of_a_signed_bundle_only(workspace: Workspace) -> None:
    done = command("-w", workspace.path, "--for", "pi4", "--require-signature")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: Invalid value: --require-signature only means something with --sign\n"


def test_what_failed_is_never_bundled_with_a_required_signature(workspace: Workspace, key: Path, new_console: Callable[..., Console]) -> None:
    with pytest.raises(InputError, match=f"{FAILED} is FAIL on {RUNTIME}: a bundle with --require-signature would never run it"):
        bundle(workspace, new_console(), board="pi4", runtimes=[RUNTIME], model=workspace / f"artifacts/{FAILED}", signing_with=Signing(key, True))


def test_an_unproved_model_is_bundled_loudly_and_runs_as_its_workspace_says(workspace: Workspace, picture: Path, tmp_path: Path) -> None:
    content = (workspace / f"artifacts/{MODEL}").read_bytes()
    bare = content[: content.index(b"PK\x03\x04")]
    model = workspace.write_bytes("artifacts/stranger.tflite", bare)
    assume = {"class_names": ["x", "y", "z"], "preprocessing": asdict(Preprocessing(8, 8, 1)), "output": "logits"}
    facts = {"format": "tflite", "source": "baseline", "sha256": hashlib.sha256(bare).hexdigest(), "runtimes": [RUNTIME], "bytes": len(bare)}
    workspace.write_json("artifacts/manifest.json", {"artifacts": {model.name: {**facts, "assume": assume}}})
    done = command("-w", workspace.path, "--for", "local", "--runtime", RUNTIME, "--model", model, "--out", tmp_path / "x.pyz")
    assert done.returncode == 0, done.stderr
    assert f"WARNING: stranger.tflite is not judged on {RUNTIME}. It goes into the bundle because --model names it." in done.stderr
    assert done.stdout.endswith(f"Next: python3 {tmp_path / 'x.pyz'} classify picture.png\n"), "no golden vectors, no selftest; and it is here"
    classified = start(tmp_path / "x.pyz", "classify", "--json", picture, root=tmp_path / "root")
    assert json.loads(classified.stdout)["top"][0]["label"] in "xyz"
    tested = start(tmp_path / "x.pyz", "selftest", root=tmp_path / "root")
    assert (tested.returncode, tested.stdout) == (2, "")
    assert "none came along, as edgeproof did not export this model" in tested.stderr
    assert "`bench` takes --images FILE.npy" in start(tmp_path / "x.pyz", "bench", root=tmp_path / "root").stderr
    np.save(tmp_path / "images.npy", np.zeros((2, 8, 8, 1), np.uint8))
    timed = start(tmp_path / "x.pyz", "bench", "--images", tmp_path / "images.npy", "--seconds", "0", root=tmp_path / "root")
    assert (timed.returncode, timed.stdout.split()[0]) == (0, RUNTIME), timed.stdout
    examined = start(tmp_path / "x.pyz", "doctor", root=tmp_path / "root").stdout
    assert f"ok  {RUNTIME}: " in examined
    assert "NO " not in examined, "an interpreter that this bundle does not hold is no defect of the machine"


def test_ctrl_c_leaves_nothing(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    building = [sys.executable, "-P", "-m", "edgeproof", "bundle", "-w", str(workspace.path), "--for", "local", "--runtime", RUNTIME]
    process = subprocess.Popen(building, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")})
    while not list((workspace / "bundles").glob(".*pyz-*")):
        assert process.poll() is None
        time.sleep(0.002)  # the file stands there for a moment only
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert list((workspace / "bundles").iterdir()) == []
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_signed_bundle_runs_its_model_and_no_other(
    signed: Path, signed_root: Path, picture: Path, tmp_path: Path, bundled_workspace: Workspace
) -> None:
    passed = start(signed, "selftest", root=signed_root)
    assert (passed.returncode, passed.stdout.split(":")[0]) == (0, "PASS"), passed.stderr
    answer = json.loads(start(signed, "classify", "--json", picture, root=signed_root).stdout)
    assert (answer["top"][0]["label"] in "abc", answer["runtime"]) == (True, RUNTIME)
    other = bundled_workspace / f"artifacts/{OTHER}"
    refused = start(signed, "classify", picture, "--model", other, root=signed_root)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"This bundle runs {MODEL} only, as it was signed" in refused.stderr
    np.save(tmp_path / "images.npy", np.zeros((1, 8, 8, 1), np.uint8))
    job = {"job": "predict", "runtime": RUNTIME, "model": str(other), "images": str(tmp_path / "images.npy"), "outputs": str(tmp_path / "o.npy")}
    assert "as it was signed" in start(signed, "job", root=signed_root, given=json.dumps(job)).stdout


def test_another_package_of_that_name_does_not_switch_the_check_off(
    signed: Path, signed_root: Path, picture: Path, tmp_path: Path, bundled_workspace: Workspace
) -> None:
    (tmp_path / "elsewhere/edge_bundle").mkdir(parents=True)
    (tmp_path / "elsewhere/edge_bundle/__init__.py").write_text("SIGNERS = ''\n")
    environment = {"PATH": "/usr/bin:/bin", "SHIV_ROOT": str(signed_root), "PYTHONPATH": str(tmp_path / "elsewhere")}
    classifying = [os.path.realpath(sys.executable), str(signed), "classify", str(picture), "--model", str(bundled_workspace / f"artifacts/{OTHER}")]
    refused = subprocess.run(classifying, env=environment, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (2, ""), refused.stderr
    assert f"This bundle runs {MODEL} only, as it was signed" in refused.stderr


def _flip_model(name: str, content: bytes) -> bytes | None:
    return content[:-1] + bytes([content[-1] ^ 1]) if name == _INSIDE + MODEL else content


def _edit_verdict(name: str, content: bytes) -> bytes | None:
    return re.sub(rb'"drop_upper_pp": [\d.]+', b'"drop_upper_pp": 0.0', content) if name == _INSIDE + "manifest.json" else content


def _drop_signature(name: str, content: bytes) -> bytes | None:
    return None if name.endswith(".sig") else content


@pytest.mark.parametrize("change", [_flip_model, _edit_verdict, _drop_signature])
def test_a_signed_file_that_was_tampered_with_runs_nothing(
    change: Callable[[str, bytes], bytes | None], signed: Path, picture: Path, tmp_path: Path
) -> None:
    _refuses(rewritten(signed, tmp_path / "tampered.pyz", change), picture, tmp_path)


@pytest.fixture
def unpacked(signed: Path, signed_root: Path, tmp_path: Path) -> Path:
    """`edge_bundle` as the signed bundle unpacked it, below tmp_path/root; files are to be replaced, not written into."""
    shutil.copytree(signed_root, tmp_path / "root", copy_function=os.link)
    (manifest,) = (tmp_path / "root").rglob("edge_bundle/manifest.json")
    return manifest.parent


def test_what_was_unpacked_is_checked_at_every_start(unpacked: Path, signed: Path, picture: Path, tmp_path: Path) -> None:
    assert start(signed, "classify", picture, root=tmp_path / "root").returncode == 0
    _replace(unpacked / MODEL, (unpacked / MODEL).read_bytes()[:-1] + b"x")
    _refuses(signed, picture, tmp_path)
    (unpacked / "manifest.json").unlink()
    _refuses(signed, picture, tmp_path)


def test_a_model_swapped_together_with_its_hash_is_refused(
    unpacked: Path, signed: Path, picture: Path, tmp_path: Path, bundled_workspace: Workspace
) -> None:
    _swap(unpacked, bundled_workspace)
    _refuses(signed, picture, tmp_path, "the signature of manifest.json does not hold")


def test_a_signature_by_another_key_or_for_another_purpose_is_refused(
    unpacked: Path, signed: Path, picture: Path, tmp_path: Path, bundled_workspace: Workspace, key: Path
) -> None:
    _swap(unpacked, bundled_workspace)
    _replace(unpacked / "manifest.json.sig", sign((unpacked / "manifest.json").read_bytes(), make_key(tmp_path / "strangers")))
    _refuses(signed, picture, tmp_path, "the signature of manifest.json does not hold")
    (unpacked / "manifest.json.sig").unlink()
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "mail", unpacked / "manifest.json"], check=True, capture_output=True)
    _refuses(signed, picture, tmp_path, "the signature of manifest.json does not hold")


def test_a_signed_verdict_that_is_no_pass_is_refused(unpacked: Path, signed: Path, picture: Path, tmp_path: Path, key: Path) -> None:
    failing = (unpacked / "manifest.json").read_bytes().replace(b'"verdict": "PASS"', b'"verdict": "FAIL"')
    _replace(unpacked / "manifest.json", failing)
    _replace(unpacked / "manifest.json.sig", sign(failing, key))
    _refuses(signed, picture, tmp_path, "the signed verdict on this one is FAIL")


def _replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


def _swap(folder: Path, workspace: Workspace) -> None:
    """Another model, and a manifest that agrees with it."""
    other, manifest = (workspace / f"artifacts/{OTHER}").read_bytes(), (folder / "manifest.json").read_bytes()
    former = json.loads(manifest)["sha256"][MODEL]
    _replace(folder / MODEL, other)
    _replace(folder / "manifest.json", manifest.replace(former.encode(), hashlib.sha256(other).hexdigest().encode()))


def test_without_ssh_keygen_it_says_what_is_missing(signed: Path, signed_root: Path, picture: Path, tmp_path: Path) -> None:
    classifying = [str(Path(sys.executable).resolve()), "-I", str(signed), "classify", str(picture)]
    done = subprocess.run(classifying, env={"PATH": str(tmp_path), "SHIV_ROOT": str(signed_root)}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "takes ssh-keygen: install it (package openssh-client)" in done.stderr


def test_a_public_key_that_is_another_ones_is_named(key: Path, tmp_path: Path) -> None:
    shutil.copy(key, tmp_path / "mine")
    other = make_key(tmp_path / "other")
    shutil.copy(f"{other}.pub", tmp_path / "mine.pub")
    with pytest.raises(InputError, match=r"Cannot sign with .*/mine: .*/mine\.pub is not its public part"):
        sign(b"content", tmp_path / "mine")


def test_the_whole_file_is_signed_beside_it(signed: Path, key: Path, tmp_path: Path) -> None:
    signature = signed.with_name(f"{signed.name}.sig").read_bytes()
    verify(signed.read_bytes(), signature, signers(key))
    with pytest.raises(InputError, match="does not hold"):
        verify(signed.read_bytes() + b"x", signature, signers(key))


def _refuses(bundle: Path, picture: Path, folder: Path, reason: str = "") -> None:
    done = start(bundle, "classify", picture, root=folder / "root")
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: ")
    assert reason in error
    assert "Traceback" not in done.stderr
