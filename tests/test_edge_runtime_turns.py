"""What a worker does with a turn: paced blocks, encoded pictures, and the clock they are timed with."""

from __future__ import annotations

import io
import itertools
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_runtime.classifier import Classifier
from edge_runtime.pictures import decode_steps
from edge_runtime.pipeline import PICTURE_SCALE, TimedPipeline, encode_pictures
from edge_runtime.timing import TimedModel, clock_tick_ns
from edge_runtime.turns import Turns


@pytest.fixture
def model(tiny_artifacts: dict[str, Path], tiny_images: np.ndarray) -> TimedModel:
    return TimedModel(Classifier.load(tiny_artifacts["onnx-float32"]), tiny_images)


def test_a_paced_block_keeps_its_rate(model: TimedModel) -> None:
    begin = time.perf_counter_ns()
    block = model.paced_block(8, rate_hz=100)
    took = time.perf_counter_ns() - begin
    assert block.invoke.shape == block.predict.shape == (8,)
    assert (block.invoke < block.predict).all()
    assert took >= 7.5e7, "eight slots of 10 ms, the first a slot after the beginning"
    assert block.span_ns >= 8e7
    if block.missed == 0:
        assert block.span_ns == 80_000_000


def test_a_paced_inference_that_takes_too_long_gives_up_the_slots_it_overran(model: TimedModel) -> None:
    invoke = model.classifier.model.invoke
    model.classifier.model.invoke = lambda: (invoke(), time.sleep(0.025))[0]
    block = model.paced_block(3, rate_hz=100)
    assert block.missed == 3
    assert block.span_ns >= 90_000_000, "three slots each"
    assert (block.predict >= 25_000_000).all(), "what it took is told all the same"


def ticking(tick: float, calls: Iterator[int]) -> Iterator[int]:
    """A clock with a step of `tick` nanoseconds, rounded to whole ones, that takes about 70 ns to read."""
    now, noise = 0.0, np.random.default_rng(0)
    for _ in calls:
        now += 60 + 30 * noise.random()
        yield round(now // tick * tick)


@pytest.mark.parametrize(
    ("tick", "least", "most"),
    [(0.25, 1, 1), (1, 1, 1), (10, 9, 11), (1e9 / 54e6, 18, 19), (1e9 / 19.2e6, 51, 53), (100, 100, 100), (4_000_000, 4e6, 4e6)],
    ids=["finer", "1 ns", "10 ns", "Pi 4", "Pi 3", "100 ns", "timer interrupt"],
)
def test_the_step_of_a_clock_is_found(tick: float, least: float, most: float) -> None:
    clock = ticking(tick, itertools.count())
    assert least <= clock_tick_ns(lambda: next(clock)) <= most


def test_this_machines_clock_can_time_a_small_network() -> None:
    assert 1 <= clock_tick_ns() <= 200


def test_pictures_decode_to_what_the_model_sees(model: TimedModel, tiny_images: np.ndarray) -> None:
    pictures = encode_pictures(tiny_images[:4])
    assert pictures is not None
    contract = model.classifier.metadata.preprocessing
    steps = [decode_steps(io.BytesIO(picture), "picture", contract, array=False) for picture in pictures]
    assert [step[0].pixels.shape for step in steps] == [(8 * PICTURE_SCALE, 8 * PICTURE_SCALE)] * 4
    seen = np.stack([step[-1].pixels for step in steps]).astype(int)
    assert np.abs(seen - tiny_images[:4]).mean() < 12, "enlarged and reduced again"


def test_the_pipeline_takes_every_picture_through_decoding_and_is_no_faster_than_the_prediction(model: TimedModel, tiny_images: np.ndarray) -> None:
    seen: list[np.ndarray] = []
    predict = model.classifier.predict
    model.classifier.predict = lambda images, batch=1: (seen.append(images), predict(images))[1]  # type: ignore[method-assign]
    samples = TimedPipeline(model.classifier, encode_pictures(tiny_images[:3]) or []).block(10)
    assert samples.shape == (10,)
    assert len({images.tobytes() for images in seen}) == 3
    assert np.median(samples) > np.median(model.block(50)[1])


def test_a_turn_tells_its_samples_its_span_and_how_often_it_was_interrupted(model: TimedModel) -> None:
    turns = Turns([model])
    answer = turns.serve({"model": 0, "runs": 60})
    assert (len(answer["invoke_ns"]), len(answer["predict_ns"])) == (60, 60)
    assert sum(answer["predict_ns"]) < answer["span_ns"]
    assert 0 <= answer["interrupted"] <= answer["span_ns"] / 1e5, "a slice of time is a millisecond and more"
    paced = turns.serve({"model": 0, "runs": 3, "rate_hz": 200})
    assert len(paced["predict_ns"]) == 3
    assert 0 <= paced["missed"] <= 3
    assert len(turns.serve({"model": 0, "runs": 5, "scope": "pipeline"})["pipeline_ns"]) == 5


def test_without_pillow_there_is_no_pipeline_and_no_error(tiny_artifacts: dict[str, Path]) -> None:
    program = f"""
import sys
sys.modules["PIL"] = None  # as if it were not installed
import numpy as np
from edge_runtime.classifier import Classifier
from edge_runtime.timing import TimedModel
from edge_runtime.turns import Turns
model = TimedModel(Classifier.load({str(tiny_artifacts["onnx-float32"])!r}), np.zeros((2, 8, 8, 1), np.uint8))
print(Turns([model]).serve({{"model": 0, "runs": 5, "scope": "pipeline"}}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert done.stdout == "{'pipeline_ns': None}\n", done.stderr


def test_interruptions_are_counted_while_others_want_the_processor() -> None:
    program = """
import os, time
from edge_runtime.turns import interruptions
cpu = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {cpu})
child = os.fork()
if child == 0:
    while True: pass
before, end = interruptions(), time.process_time() + 0.3
while time.process_time() < end: pass
print(interruptions() - before)
os.kill(child, 9); os.waitpid(child, 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    assert int(done.stdout) >= 10, (done.stdout, done.stderr)
