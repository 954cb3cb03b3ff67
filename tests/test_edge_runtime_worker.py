from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_runtime.errors import InputError, RuntimeProblem
from edge_runtime.golden import GoldenVectors, choose_golden
from edge_runtime.interpreter import RUNTIMES
from edge_runtime.worker import LOCAL_COMMAND, Worker, run_in_subprocess
from tests.conftest import TINY_BIAS

# Registers one more job, then serves as usual. The job prints as interpreters do: through Python, and past it.
CHATTY = """
import os, sys
from edge_runtime import jobs

def chatty(job, emit, turns):
    print("hello from Python")
    os.write(1, b"hello from C\\n")
    print("a complaint", file=sys.stderr)
    return {"answer": 42}

jobs.JOBS["chatty"] = chatty
sys.exit(jobs.serve_job())
"""


@pytest.fixture
def images_file(tiny_images: np.ndarray, tmp_path: Path) -> Path:
    np.save(tmp_path / "images.npy", tiny_images)
    return tmp_path / "images.npy"


def timing_job(model: Path, images_file: Path) -> dict[str, Any]:
    return {"job": "time", "models": [str(model)], "images": str(images_file), "runtime": "onnxruntime"}


@pytest.mark.parametrize("text", ["", "\n", "hello\n", "{\n", "[]\n", "3\n", '"predict"\n'])
def test_a_job_that_is_no_json_object_gets_one_error_message(text: str) -> None:
    done = subprocess.run(LOCAL_COMMAND, input=text, capture_output=True, text=True)
    message = json.loads(done.stdout)
    assert (message["event"], message["kind"], done.returncode, done.stderr) == ("error", "InputError", 2, "")
    assert "A job is one line of JSON" in message["message"]


def test_an_unknown_job_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Unknown job 'predikt'. Did you mean 'predict'"):
        run_in_subprocess({"job": "predikt"}, "onnxruntime")


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_doctor_says_which_version_answers(runtime: str) -> None:
    answer = run_in_subprocess({"job": "doctor"}, runtime)
    assert (answer["runtime"], answer["runtime_version"], answer["numpy"]) == (runtime, RUNTIMES[runtime].version, np.__version__)


def test_doctor_of_an_unknown_runtime_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'onnxruntime'"):
        run_in_subprocess({"job": "doctor"}, "onnxruntim")


def test_a_job_without_what_it_needs_ends_in_one_sentence() -> None:
    with pytest.raises(InputError, match=r"^The job 'predict' needs a field 'model'\.$"):
        run_in_subprocess({"job": "predict"}, "onnxruntime")


def test_a_turn_without_what_it_needs_names_it(tiny_artifacts: dict[str, Path], images_file: Path) -> None:
    with Worker(timing_job(tiny_artifacts["onnx-int8"], images_file)) as worker:
        worker.receive()
        worker.send({"model": 0})
        with pytest.raises(InputError, match=r"in each of its turns, needs a field 'runs'\.$"):
            worker.receive()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV, signal.SIGILL])
def test_a_worker_that_crashes_is_one_sentence_and_leaves_no_process(end: signal.Signals, tiny_artifacts: dict[str, Path], images_file: Path) -> None:
    with Worker(timing_job(tiny_artifacts["onnx-int8"], images_file)) as worker:
        assert worker.receive()["event"] == "ready"
        os.kill(worker._process.pid, end)
        with pytest.raises(RuntimeProblem, match=f"was ended by {end.name}"):
            worker.receive()
        worker.send({"model": 0, "runs": 1})  # speaking to the dead is no error
    assert worker._process.returncode == -end


def test_instructions_that_the_processor_lacks_are_named() -> None:
    command = (sys.executable, "-c", "import os, signal, sys; print('loading', file=sys.stderr); os.kill(os.getpid(), signal.SIGILL)")
    said = r"was ended by SIGILL: this wheel needs instructions that this processor lacks: use another .* \(its last words: loading\)\.$"
    with pytest.raises(RuntimeProblem, match=said), Worker({"job": "doctor", "runtime": "onnxruntime"}, command) as worker:
        worker.result()


def test_a_worker_finds_the_edge_runtime_of_its_parent_wherever_it_lies(tmp_path: Path) -> None:
    """As in a bundle, whose folder is on the search path of that one process only."""
    shutil.copytree(Path(__file__).parent.parent / "edge_runtime", tmp_path / "edge_runtime", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "edge_runtime/jobs.py").open("a") as jobs:
        jobs.write("JOBS['where'] = lambda job, emit, turns: {'file': __file__}\n")
    program = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from edge_runtime.worker import run_in_subprocess; "
    program += "print(run_in_subprocess({'job': 'where'}, 'none')['file'])"
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == str(tmp_path / "edge_runtime/jobs.py"), done.stderr


def test_an_error_in_the_parent_ends_the_worker_at_once(tiny_artifacts: dict[str, Path], images_file: Path) -> None:
    worker = Worker(timing_job(tiny_artifacts["onnx-int8"], images_file))
    with pytest.raises(KeyboardInterrupt), worker:
        raise KeyboardInterrupt
    assert worker._process.returncode is not None


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ('{"event": "res', "ended with exit code 3"),
        ("hello\n", "said what is no message: 'hello'"),
        ("3\n", "no message: '3'"),
        ('["event"]\n', "said what is no message"),
    ],
)
def test_what_is_no_whole_message_ends_in_one_sentence(said: str, reason: str) -> None:
    command = (sys.executable, "-c", f"import sys; sys.stdin.read(); sys.stdout.write({said!r}); sys.exit(3)")
    with pytest.raises(RuntimeProblem, match=reason), Worker({"job": "doctor", "runtime": "onnxruntime"}, command) as worker:
        worker.result()


def test_onnx_runtime_leaves_nothing_in_the_home(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "ORT_"))}
    program = "from edge_runtime.runtimes import RUNTIMES, import_runtime; import_runtime(RUNTIMES['onnxruntime'])"
    subprocess.run([sys.executable, "-c", program], env={**kept, "HOME": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []


def test_printing_inside_the_worker_does_not_break_the_protocol() -> None:
    with Worker({"job": "chatty", "runtime": "none"}, (sys.executable, "-P", "-c", CHATTY)) as worker:
        assert worker.result() == {"event": "result", "answer": 42}


def test_the_folder_one_stands_in_is_not_searched_for_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("numpy.py", "edge_runtime.py", "json.py", "onnxruntime.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    monkeypatch.chdir(tmp_path)
    assert run_in_subprocess({"job": "doctor"}, "onnxruntime")["numpy"] == np.__version__


def test_predict_tells_how_far_it_is_and_keeps_the_order_of_the_images(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, tmp_path: Path
) -> None:
    many = np.tile(tiny_images, (20, 1, 1, 1))[:1801]
    np.save(tmp_path / "many.npy", many)
    job = {"job": "predict", "model": str(tiny_artifacts["onnx-int8"]), "images": str(tmp_path / "many.npy"), "outputs": str(tmp_path / "out.npy")}
    told: list[tuple[int, int]] = []
    run_in_subprocess(job, "onnxruntime", lambda done, total: told.append((done, total)))
    outputs = np.load(tmp_path / "out.npy")
    assert len(told) > 1
    assert told == sorted(told)
    assert told[-1] == (1801, 1801)
    np.testing.assert_array_equal(outputs, np.tile(outputs[: len(tiny_images)], (20, 1))[:1801])


def test_timing_serves_one_block_a_turn_until_it_is_told_no_more(tiny_artifacts: dict[str, Path], images_file: Path) -> None:
    models = [str(tiny_artifacts[format]) for format in ("tflite-float32", "tflite-int8")]
    job = {"job": "time", "models": models, "images": str(images_file), "runtime": "ai-edge-litert"}
    with Worker(job) as worker:
        ready = worker.receive()
        assert ready["event"] == "ready"
        assert [model["runtime"] for model in ready["models"]] == ["ai-edge-litert"] * 2
        for index, runs in ((0, 7), (1, 50), (0, 1)):
            worker.send({"model": index, "runs": runs})
            answer = worker.receive()
            assert (answer["event"], len(answer["invoke_ns"]), len(answer["predict_ns"])) == ("samples", runs, runs)
            assert all(0 < invoke <= predict for invoke, predict in zip(answer["invoke_ns"], answer["predict_ns"], strict=True))
        assert worker.result() == {"event": "result"}


def test_a_cold_start_is_measured_in_time_and_memory(tiny_artifacts: dict[str, Path], images_file: Path) -> None:
    job = {"job": "cold", "model": str(tiny_artifacts["tflite-int8"]), "images": str(images_file), "threads": 2}
    answer = run_in_subprocess(job, "tflite-runtime")
    assert (answer["runtime"], answer["threads"]) == ("tflite-runtime", 2)
    assert answer["load_ns"] > 0
    assert answer["first_ns"] > 0
    assert 10e6 < answer["peak_memory_bytes"] < 80e6


@pytest.mark.parametrize(
    ("format", "runtime"), [("tflite-float32", "ai-edge-litert"), ("tflite-float32", "tflite-runtime"), ("onnx-float32", "onnxruntime")]
)
def test_golden_vectors_pass_on_their_artifact_and_fail_on_a_damaged_one(
    tiny_artifacts: dict[str, Path], tiny_images: np.ndarray, images_file: Path, tmp_path: Path, format: str, runtime: str
) -> None:
    whole = tiny_artifacts[format]
    run_in_subprocess({"job": "predict", "model": str(whole), "images": str(images_file), "outputs": str(tmp_path / "out.npy")}, runtime)
    outputs = np.load(tmp_path / "out.npy")
    np.savez(
        tmp_path / "golden.npz", **GoldenVectors.of(tiny_images, outputs.argmax(axis=1), {whole.name: {f"{runtime}/default": outputs}}).to_arrays()
    )
    passed = run_in_subprocess({"job": "selftest", "model": str(whole), "golden": str(tmp_path / "golden.npz")}, runtime)
    assert (passed["passed"], passed["images"], passed["labels_differing"], passed["runtime"]) == (True, len(tiny_images), 0, runtime)
    damaged = tmp_path / whole.name
    damaged.write_bytes(whole.read_bytes().replace(np.array(TINY_BIAS, np.float32).tobytes(), np.array([9, 9, -9], np.float32).tobytes()))
    failed = run_in_subprocess({"job": "selftest", "model": str(damaged), "golden": str(tmp_path / "golden.npz")}, runtime)
    assert not failed["passed"]
    assert failed["labels_differing"] > 0


@pytest.mark.parametrize("content", ["nothing", "random", "cut", "npy", "other"])
def test_golden_vectors_that_cannot_be_used_are_an_input_error(tiny_artifacts: dict[str, Path], tmp_path: Path, content: str) -> None:
    path = tmp_path / "golden.npz"
    np.savez(path, **_golden_zeros("another.onnx").to_arrays())
    whole = path.read_bytes()
    if content == "nothing":
        path.unlink()
    elif content == "npy":
        np.save(tmp_path / "one.npy", np.zeros(3))
        (tmp_path / "one.npy").rename(path)
    elif content != "other":
        path.write_bytes({"random": np.random.default_rng(0).bytes(500), "cut": whole[:-30]}[content])
    with pytest.raises(InputError) as caught:
        run_in_subprocess({"job": "selftest", "model": str(tiny_artifacts["onnx-int8"]), "golden": str(path)}, "onnxruntime")
    assert "export" in str(caught.value)
    assert "\n" not in str(caught.value)


def _golden_zeros(artifact: str) -> GoldenVectors:
    return GoldenVectors.of(np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int64), {artifact: {"onnxruntime/default": np.zeros((2, 3))}})


def test_golden_images_are_the_least_certain_an_equal_share_of_each_class() -> None:
    labels = np.repeat(np.arange(4), 25)
    certainty = np.tile(np.linspace(0.5, 0.99, 25), 4)  # of each class the first images are the least certain
    probabilities = np.full((100, 4), 0.0)
    probabilities[np.arange(100), labels] = certainty
    probabilities[np.arange(100), (labels + 1) % 4] = 1 - certainty
    images = np.zeros((100, 2, 2, 1), np.uint8)
    chosen = choose_golden(images, labels, probabilities, count=12)
    assert chosen.tolist() == [0, 1, 2, 25, 26, 27, 50, 51, 52, 75, 76, 77]
    assert len(choose_golden(images, labels, probabilities, count=500)) == 100


def test_golden_images_hold_the_flips_and_the_extremes() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    images = rng.integers(50, 200, (200, 4, 4, 1), np.uint8)
    images[7], images[8] = 0, 255
    probabilities = np.eye(3)[labels] * 0.9 + 0.03
    export = probabilities.copy()
    export[[11, 90, 170]] = export[[11, 90, 170]][:, [1, 2, 0]]  # three answers flip
    export[120] *= 5  # the largest output of all
    assert {7, 8, 11, 90, 120, 170} <= set(choose_golden(images, labels, probabilities, [export], count=12).tolist())


def test_golden_images_hold_as_many_flips_as_leave_room_for_two_extremes() -> None:
    rng = np.random.default_rng(0)
    probabilities = np.eye(3)[np.zeros(200, int)]
    export = np.eye(3)[np.ones(200, int)]  # every answer flips
    export[120], export[121] = (5.0, 0.0, -9.0), (9.0, 0.0, -5.0)  # but these two, where the outputs are extreme
    chosen = choose_golden(rng.integers(0, 255, (200, 4, 4, 1), np.uint8), np.zeros(200, np.int64), probabilities, [export])
    assert len(chosen) == 64
    assert {120, 121} <= set(chosen.tolist())


def test_tolerance_follows_what_each_runtime_and_kernels_showed() -> None:
    expected = np.array([[-100, 0, 100], [50, -50, 0]], np.int8)
    answers = {"ai-edge-litert/default": expected, "ai-edge-litert/reference": expected + np.int8(4)}
    golden = GoldenVectors.of(np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int64), {"a-tflite-int8.tflite": answers})
    alike, wider = (golden.tolerated("a-tflite-int8.tflite", "ai-edge-litert", kernels) for kernels in ("default", "reference"))
    assert (alike, wider) == (pytest.approx(3 / 255), pytest.approx(3 / 255 + 2 * 4 / 200))
    assert golden.tolerated("a-tflite-int8.tflite", "another", "default") == wider


def test_a_worker_that_stays_silent_is_ended() -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    with (
        pytest.raises(RuntimeProblem, match="did not answer within 0.3 s"),
        Worker({"job": "predict", "runtime": "any"}, command, patience=0.3) as worker,
    ):
        worker.receive()
