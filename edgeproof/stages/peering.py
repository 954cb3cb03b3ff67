"""`bench --peers`: what one would have made by hand from the same baseline, measured beside ours in one session. Makes peers with TensorFlow."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import parity
from benchmarks.counts import CountResult
from benchmarks.matrix import Artifact, cells, collect, readers
from benchmarks.outputs import Outputs
from benchmarks.peers import OURS, SCHEMA, PeerRow, judged, read_peers, timed
from benchmarks.results import LatencyResult
from benchmarks.targets import find_target
from edge_runtime.errors import EdgeproofError, InputError
from edge_runtime.interpreter import PEER_RUNTIMES
from edgeproof.console import Console
from edgeproof.stages.benching import bench, check_measuring
from edgeproof.stages.judging import reference_of, runnable_artifacts, usual_margin
from edgeproof.stages.project import Project
from edgeproof.workspace import Workspace
from export.audit import audit
from export.calibration import Calibration
from export.formats import QAT
from export.peers import PEERS, Peer, PeerSources, make
from export.support import support

RECORD = "peers/peers.json"


@dataclass(frozen=True)
class Made:
    """A peer's file, or why there is none."""

    peer: Peer
    path: Path  # where it is, or would be
    record: Mapping[str, Any]  # {artifact, sha256, bytes, answers, int8_macs_percent, refused: {runtime: reason}, made_from}; empty where none
    reason: str = ""

    def artifact(self, assume: Mapping[str, Any]) -> Artifact:
        """For measuring, where there is one. assume: what the file itself does not say."""
        sha256, size = self.record["sha256"], self.record["bytes"]
        loads = tuple(name for name in self.runtimes(()) if name not in self.record["refused"])
        said = {**assume, "output": self.record["answers"]}
        return Artifact(self.path.resolve(), self.peer.name, self.peer.source, sha256, loads, size, said, peer=self.peer.name)

    def runtimes(self, chosen: Sequence[str]) -> list[str]:
        """Those that read this kind of file; only those chosen, if any are."""
        return readers(self.peer.suffix, chosen)


def bench_with_peers(
    workspace: Workspace,
    console: Console,
    *,
    targets: Sequence[str] = ("local",),
    runtimes: Sequence[str] = (),
    seconds: float = 2.0,
    **settings: Any,
) -> tuple[list[LatencyResult | CountResult], list[PeerRow]]:
    """`bench` with peers in the same session; writes the folder `peers/` whole when all is done. settings: further ones of `bench`."""
    if list(targets) != ["local"]:
        raise InputError("--peers compares files on this machine: leave --on out.")
    if workspace.adopted:
        raise InputError("--peers needs a baseline that other tools can convert: this workspace holds exports that were judged by a stranger's.")
    check_measuring(seconds, settings.get("threads", (1,)), settings.get("rate_hz"))
    project = Project.of(workspace)
    runnable_artifacts(workspace, runtimes)  # before minutes of work, not after
    with workspace.stage("peers") as files, made_peers(workspace, console, files) as (made, beside):
        results = bench(workspace, console, runtimes=runtimes, seconds=seconds, beside=beside, **settings)
        outputs, report = _judge(workspace, console, [artifact for artifact in beside if artifact.peer != OURS], runtimes, project)
        (result,) = [result for result in results if isinstance(result, LatencyResult)]
        rows = [_row(item, runtime, outputs, report.rows, result) for item in made for runtime in item.runtimes(runtimes)]
        session = {"target": result.target, "session": result.fields["utc"], "validity": result.fields["validity"]}
        files.write_json(RECORD, {**_facts(report, made), **session, "rows": [asdict(row) for row in rows]})
    return results, rows


def _facts(report: parity.Report, made: Sequence[Made]) -> dict[str, Any]:
    """What `peers.json` says of all rows; `made` lets the next run use the files again."""
    judged_on = {"baseline_sha256": report.baseline["sha256"], "images": report.baseline["images"], "margin_pp": report.margin_pp}
    records = {item.peer.name: item.record for item in made if item.record}
    return {"schema": SCHEMA, **judged_on, "utc": datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ"), "made": records}


@contextlib.contextmanager
def made_peers(workspace: Workspace, console: Console, files: Workspace) -> Iterator[tuple[list[Made], list[Artifact]]]:
    """Every peer, made or taken over into `files`; and what is to be measured beside the workspace's artifacts, while the context lasts."""
    project = Project.of(workspace)
    assume = {"preprocessing": project.contract.to_dict(), "class_names": list(project.class_names)}
    made = _make_all(workspace, console, files, project)
    there = [item.artifact(assume) for item in made if item.record]
    with _ours_for(there, workspace.artifacts(), {**assume, "output": project.output}) as further:
        yield made, [*there, *further]


class _Models:
    """What peers are made from, loaded only when one must be made."""

    def __init__(self, workspace: Workspace, project: Project) -> None:
        self._workspace, self._project = workspace, project
        self.qat_sha256 = workspace.read_json("qat.json")["qat_sha256"] if workspace.has("qat.json") else None

    @cached_property
    def sources(self) -> PeerSources:
        from train.model_files import load_model
        from train.qat import load_qat

        dataset, split = self._project.load_data()
        calibration = Calibration.choose(dataset.images, split.calibration, split.validation)
        qat = load_qat(self._workspace.require("qat.h5")) if self.qat_sha256 else None
        return PeerSources(load_model(self._workspace.require("baseline.keras")), qat, calibration.normalized(self._project.contract))

    def origin(self, peer: Peer) -> dict[str, Any]:
        """All that decides what becomes of a peer: while it is the same, its file is used again."""
        source = self.qat_sha256 if peer.source == QAT else self._project.baseline_sha256
        data = {"dataset_sha256": self._project.dataset_sha256, "seed": self._project.seed}
        return {"how": peer.how, "source_sha256": source, **data, "versions": peer.versions}


def _make_all(workspace: Workspace, console: Console, files: Workspace, project: Project) -> list[Made]:
    """Every peer, in the registry's order; one that cannot be made has its reason."""
    models, former = _Models(workspace, project), _former(workspace)
    made = []
    with console.progress("Peers") as progress, console.natives_silenced():
        for index, peer in enumerate(PEERS.values()):
            progress(index, len(PEERS), peer.title)
            path = files / f"peers/{project.name}-{peer.name}{peer.suffix}"
            try:
                peer.require_packages()
                record = _kept(workspace, files, former.get(peer.name), models.origin(peer)) or _new(files, path.name, peer, models)
                made.append(Made(peer, path, record))
            except EdgeproofError as error:
                made.append(Made(peer, path, {}, str(error)))
    return made


def _former(workspace: Workspace) -> dict[str, Any]:
    """The records of peers that were made before; empty where none were, or where nobody can read them."""
    try:
        return dict(read_peers(workspace / RECORD)["made"])
    except InputError:
        return {}


def _kept(workspace: Workspace, files: Workspace, record: Mapping[str, Any] | None, origin: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The former record, its file carried over; None when it was made from something else, or is gone."""
    if record is None or record["made_from"] != origin:
        return None
    path = workspace / f"peers/{record['artifact']}"
    if not path.is_file():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != record["sha256"]:
        return None
    files.write_bytes(f"peers/{path.name}", content)
    return record


def _new(files: Workspace, name: str, peer: Peer, models: _Models) -> dict[str, Any]:
    content = make(peer, models.sources)
    files.write_bytes(f"peers/{name}", content)
    found = audit(content)
    share = found.int8_macs_share
    return {
        "artifact": name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "answers": found.answers,
        "precision": found.precision,
        "int8_macs_percent": None if share is None else 100 * share,
        "refused": {} if found.family in PEER_RUNTIMES else {name: said.reason for name, said in support(found).items() if not said.loads},
        "made_from": models.origin(peer),
    }


@contextlib.contextmanager
def _ours_for(peers: Sequence[Artifact], ours: Sequence[Artifact], assume: Mapping[str, Any]) -> Iterator[list[Artifact]]:
    """Our ONNX files for a runtime that only peers are made for, so that both are compared on the same one: OpenVINO reads ONNX, too."""
    suffixes = {runtime.suffix for runtime in PEER_RUNTIMES.values()}
    wanted = {(PEERS[peer.peer].ours, peer.path.suffix) for peer in peers if peer.peer and peer.path.suffix in suffixes}
    with tempfile.TemporaryDirectory(prefix="edgeproof-") as folder:
        further = []
        for artifact, suffix in [(artifact, suffix) for format, suffix in wanted for artifact in ours if artifact.format == format]:
            path = Path(folder) / f"{artifact.path.stem}{suffix}"
            path.write_bytes(artifact.path.read_bytes())
            further.append(replace(artifact, path=path, runtimes=(), assume=artifact.assume or assume, peer=OURS))
        yield further


def _judge(
    workspace: Workspace, console: Console, artifacts: Sequence[Artifact], runtimes: Sequence[str], project: Project
) -> tuple[list[Outputs], parity.Report]:
    """Each peer's answers to the validation images on each runtime, and what parity says of them: the same rule as for ours."""
    validation = workspace.read_arrays("validation.npz")
    with console.progress("Parity of peers") as progress:
        matrix = cells(artifacts, runtimes=runtimes, kernels=["default"])
        outputs = collect(matrix, validation["images"], find_target("local"), progress=progress)
    margin = usual_margin(workspace, again=workspace.has("parity.json"))
    return outputs, parity.judge(reference_of(validation), outputs, margin_pp=margin, baseline_sha256=project.baseline_sha256)


def _row(made: Made, runtime: str, outputs: Sequence[Outputs], judgements: Sequence[parity.Row], result: LatencyResult) -> PeerRow:
    peer = made.peer
    row = PeerRow(peer.name, peer.title, peer.how, runtime, reason=made.reason)
    if not made.record:
        return row
    said = next(line for line, answers in zip(judgements, outputs, strict=True) if (answers.format, answers.runtime) == (peer.name, runtime))
    reason = "" if said.accuracy is not None else made.record["refused"].get(runtime) or said.reason
    facts = {name: made.record[name] for name in ("artifact", "bytes", "sha256", "int8_macs_percent")}
    return PeerRow(**{**vars(row), **facts, **judged(said), **timed(result, peer.name, runtime, peer.ours), "reason": reason})
