"""Short forms of the proofs, and the series of them: it resumes, and its page says what was found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.parity import FAIL, PASS, decide
from benchmarks.statistics import images_to_certify
from edgeproof.workspace import Workspace
from evidence import check_alone, cold_start, error_rates, fast_path, harness_cost, matrix, measuring, onnx_int8, small_sets
from evidence.__main__ import main, run_proof
from evidence.findings import ROOT, Finding, Places
from evidence.proofs import PROOFS, Proof
from evidence.records import page, read_record
from tests.pipelines import Run


def test_outcomes_are_all_there_are() -> None:
    broken, fixed, probability = error_rates.outcomes(8400, 0.004, 0.001)
    assert probability.sum() == pytest.approx(1, abs=1e-10)
    assert (broken * probability).sum() == pytest.approx(8400 * 0.004, rel=1e-9)
    assert (fixed * probability).sum() == pytest.approx(8400 * 0.001, rel=1e-9)


@pytest.mark.parametrize("n", [1080, 8400])
def test_the_shares_count_the_verdicts_that_are_given(n: int) -> None:
    broken, fixed, probability = error_rates.outcomes(n, 6 / n, 2 / n)
    verdicts = np.array([[decide(int(b), int(f), n, 0.25)[0] for f in fixed[0, :12]] for b in broken[:25, 0]])
    seen = probability[:25, :12]
    passed, failed = error_rates.verdict_shares(n, 6 / n, 2 / n)
    assert passed == pytest.approx(seen[verdicts == PASS].sum(), abs=1e-5)
    assert failed == pytest.approx(seen[verdicts == FAIL].sum(), abs=1e-5)


def test_false_pass_stays_below_its_target_at_8400_images() -> None:
    assert error_rates.false_pass((8400,), (0.25, 0.3, 0.5, 1, 5), "").met


def test_false_pass_is_what_it_is_where_a_pass_needs_no_flip_at_all() -> None:
    assert error_rates.verdict_shares(1080, 0.0025, 0)[0] == pytest.approx(0.9975**1080)


def test_coverage_of_the_worst_cell() -> None:
    assert error_rates.coverage(8400, 1, 4) == pytest.approx(0.913, abs=5e-4)
    assert all(finding.met for finding in error_rates.coverage_on_a_grid((0, 1, 2, 4, 8, 16, 32), ""))


def test_two_models_of_equal_accuracy_rarely_fail() -> None:
    assert error_rates.equal_models_fail((300, 1000, 8400), "").met


def test_mcnemar_is_exact() -> None:
    assert error_rates.mcnemar_is_exact(12, "").met


def _flips(broken: int, fixed: int, n: int = 8400) -> np.ndarray:
    return np.repeat([1, -1, 0], [broken, fixed, n - broken - fixed])


def test_the_images_asked_for_after_300_settle_it() -> None:
    finding = small_sets.settles("compact", {"a": _flips(11, 14), "b": _flips(8, 2)}, "", subsets=30, resamples=50)
    assert finding.met, finding.figure


@pytest.mark.parametrize(("broken", "fixed"), [(11, 14), (8, 2), (4, 4)])  # of 8,400, as exports have them
def test_so_it_is_exactly_and_what_certifies_without_a_flip_would_not_do(broken: int, fixed: int) -> None:
    rates = (broken / 8400, fixed / 8400)
    _, _, probability = error_rates.outcomes(300, *rates)
    settled = 0.0
    for b, f in np.argwhere(probability > 1e-4):
        settled += probability[b, f] * sum(error_rates.verdict_shares(small_sets.asked_for(int(b), int(f), 300) or 0, *rates))
    assert settled >= 0.8
    assert sum(error_rates.verdict_shares(images_to_certify(error_rates.MARGIN), *rates)) < 0.7


def test_300_images_are_called_too_few_before_they_run(digits_run: Run) -> None:
    finding = small_sets.said_before(Workspace(digits_run.workspace), "")
    assert "300 images cannot certify a drop of at most 0.25 pp" in finding.figure
    assert finding.met, finding.figure


def test_the_flips_of_a_workspace_are_those_of_its_report(digits_run: Run) -> None:
    rows = {f"{row['format']} on {row['runtime']} ({row['kernels']})": row for row in digits_run.json("parity.json")["rows"]}
    found = small_sets.flips_by_row(Workspace(digits_run.workspace))
    assert found
    for name, flips in found.items():
        assert (int((flips == 1).sum()), int((flips == -1).sum())) == (rows[name]["broken"], rows[name]["fixed"])


def test_onnx_int8_is_fused_and_timed_against_its_peers(digits_run: Run) -> None:
    workspace = Workspace(digits_run.workspace)
    fused = onnx_int8.fused("compact", workspace, "")
    assert fused.met, fused.figure
    found = onnx_int8.speed("seed", workspace, "", seconds=0.05)
    assert [finding.figure.split(" ")[1] for finding in found] == ["times", "times", "times"]
    ratios = [float(finding.figure.split(" ")[0]) for finding in found]
    assert all(0.5 < ratio < 2 for ratio in ratios[:2]), "the same operators, so about the same time"


def test_a_missing_format_and_a_row_that_fails_are_named(digits_run: Run) -> None:
    rows = [{**row, "verdict": PASS} for row in digits_run.json("parity.json")["rows"]]
    rows += [{**rows[0], "format": format} for format in matrix.FORMATS if format not in {row["format"] for row in rows}]
    assert matrix.verdicts("compact", rows, "").met
    lacking = matrix.verdicts("compact", [row for row in rows if row["format"] != "onnx-int8"], "")
    assert not lacking.met
    assert "not exported: onnx-int8" in lacking.figure
    failing = matrix.verdicts("compact", [{**row, "verdict": FAIL} if row["format"] == "onnx-int8" else row for row in rows], "")
    assert not failing.met
    assert "onnx-int8 on onnxruntime default: FAIL" in failing.figure


def test_one_artifact_on_one_runtime_is_timed_without_start_up(digits_run: Run) -> None:
    finding = matrix.alone(Workspace(digits_run.workspace), ("onnx-int8",), "", repeats=1)
    assert "slowest of 1: onnx-int8 on onnxruntime" in finding.figure


def test_a_check_that_ends_with_an_error_is_no_answer(tmp_path: Path) -> None:
    finding = check_alone.answers_soon(Path(sys.prefix), tmp_path / "missing.tflite", "")
    assert not finding.met
    assert "exit code 2" in finding.figure


@pytest.fixture
def places(tmp_path: Path) -> Places:
    for name in ("compact", "seed"):
        Workspace(tmp_path / name).write_json("parity.json", {"workspace": name})
    return Places(tmp_path / "compact", tmp_path / "seed")


class Counting:
    """A proof that counts how often it is run."""

    def __init__(self, met: bool = True) -> None:
        self.met, self.runs = met, 0
        self.proof = Proof("counting", "counts", self, (), ("parity.json",))

    def __call__(self, places: Places) -> list[Finding]:
        self.runs += 1
        return [Finding("It was run", "often", f"{self.runs} times | more", self.met, places.command("counting"))]


def test_a_series_resumes_until_something_changes(places: Places, tmp_path: Path) -> None:
    counting = Counting()
    records = tmp_path / "records"
    assert run_proof(counting.proof, places, folder=records) == 0
    assert run_proof(counting.proof, places, folder=records) == 0
    assert counting.runs == 1
    run_proof(counting.proof, places, again=True, folder=records)
    assert counting.runs == 2
    places.workspaces["seed"].write_json("parity.json", {"workspace": "another"})
    run_proof(counting.proof, places, folder=records)
    assert counting.runs == 3
    (records / "counting.json").write_text("{")
    run_proof(counting.proof, places, folder=records)
    assert counting.runs == 4


def test_a_target_that_is_not_met_fails_the_series_and_stands_on_the_page(places: Places, tmp_path: Path) -> None:
    counting = Counting(met=False)
    assert run_proof(counting.proof, places, folder=tmp_path) == 1
    text = page({counting.proof: read_record(counting.proof, tmp_path)})
    assert "| It was run | often | 1 times \\| more | **no** |" in text
    assert "0 of 1 targets met" in text
    assert f"python -m evidence counting -w {places.compact} --seed {places.seed}" in text


def test_without_a_workspace_one_is_told_what_makes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["small-sets", "-w", str(tmp_path / "none"), "--records", str(tmp_path)]) == 2
    assert f"run `edgeproof parity -w {tmp_path / 'none'}` first" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.json"))


def test_the_command_lists_the_proofs_and_refuses_others() -> None:
    listed = subprocess.run([sys.executable, "-m", "evidence"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(PROOFS)
    assert main(["error-rate"]) == 2


def test_the_page_has_a_part_for_every_proof() -> None:
    text = (ROOT / "docs/evidence.md").read_text()
    assert [line.split(":")[0] for line in text.splitlines() if line.startswith("## ")] == [f"## {name}" for name in PROOFS]


def test_the_fast_path_is_timed_against_the_interpreters_own_calls(digits_run: Run) -> None:
    measured = fast_path.measure(Workspace(digits_run.workspace), ("tflite-int8",), rounds=10)
    assert [blocks.runtime for blocks in measured] == ["ai-edge-litert", "tflite-runtime"]
    assert all(blocks.bare.shape == (10,) for blocks in measured)
    assert all(0 < blocks.extra_us(blocks.labels) < blocks.extra_us(blocks.probabilities) for blocks in measured)
    assert 1 < max(blocks.ratio[0] for blocks in measured) < 2
    assert "interleaved blocks" in fast_path.seed_ratio(measured, "tflite-int8", "").figure
    labels, probabilities = fast_path.compact_extra(measured, "")
    assert "tflite-int8 on ai-edge-litert" in labels.figure
    assert ".probabilities" in probabilities.claim


def test_a_cold_start_is_measured_in_pairs(digits_run: Run) -> None:
    finding = cold_start.cold_start(Workspace(digits_run.workspace), "tflite-runtime", 3, "")
    assert 0.5 < float(finding.figure.split(" ")[0]) < 3
    assert "3 interleaved pairs" in finding.figure


def test_a_slowdown_that_is_executed_is_measured_and_called_and_none_is_not(digits_run: Run) -> None:
    trials = measuring.run_trials(Workspace(digits_run.workspace), pairs=4, slowed=8, unslowed=4)
    assert [trial.slowdown for trial in trials].count(measuring.SLOWDOWN) == 8
    middle, called, _ = measuring.findings(trials, "")
    assert middle.met, middle.figure
    assert int(called.figure.split(" ")[0]) >= 6, called.figure


def test_the_figures_of_trials_are_counts_of_them() -> None:
    itself, fast, slow = (measuring.Trial(kind, 1.0, 0.99, 1.01) for kind in (None, 0.0, 0.05))
    seen, falsely = measuring.Trial(0.05, 1.05, 1.04, 1.06), measuring.Trial(0.0, 0.97, 0.96, 0.98)
    found = measuring.findings([itself] * 3 + [seen] * 19 + [slow] + [fast] * 48 + [falsely] * 2, "")
    assert [finding.met for finding in found] == [True, True, False]
    assert [finding.figure.split(";")[0] for finding in found] == ["1.0000", "19 of 20", "2 of 50"]
    assert not measuring.findings([itself, seen, slow, fast], "")[1].met


def test_the_harness_is_timed_against_a_loop_by_hand(digits_run: Run) -> None:
    measured = harness_cost.measure(Workspace(digits_run.workspace), ("tflite-int8", "onnx-float32"), rounds=10)
    assert [cost.runtime for cost in measured] == ["ai-edge-litert", "tflite-runtime", "onnxruntime"]
    assert all(0.7 < cost.low <= cost.ratio <= cost.high < 1.4 for cost in measured)
    assert "of the measuring loop" in harness_cost.finding("compact", measured, "").claim
