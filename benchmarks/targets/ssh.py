"""A real board behind the user's own `ssh`: the bundle is copied to a private folder there, runs, and goes with the folder."""

from __future__ import annotations

import contextlib
import threading
import zipfile
from collections.abc import Callable, Sequence

from benchmarks.targets.address import Address
from benchmarks.targets.base import Supply
from benchmarks.targets.board_folder import BoardFolder
from benchmarks.targets.openssh import OpenSsh, in_shell
from benchmarks.targets.probing import look
from benchmarks.targets.remote_files import RemoteFiles
from edge_runtime.errors import EdgeproofError, RuntimeMissingError, RuntimeProblem, TargetError
from edge_runtime.jobs import Job, Message
from edge_runtime.machine import Machine
from edge_runtime.worker import Worker

OLDEST_PYTHON = (3, 11)
_MOST_JOBS = 4  # at once: a board has little memory


class SshTarget:
    """A board. A context manager: it is reached on entry, and nothing of ours is there after the exit."""

    def __init__(self, name: str, supply: Supply) -> None:
        self.address = Address.parse(name)
        self.name = str(self.address)
        self._supply = supply
        self._ssh = OpenSsh(self.address)
        self._bundles: dict[str, str | EdgeproofError] = {}  # by runtime: where its bundle lies, or why there is none
        self._preparing = threading.Lock()

    def __enter__(self) -> SshTarget:
        self._machine = self._look()
        self._folder = BoardFolder(self._ssh)
        self._files = RemoteFiles(self._ssh, self._folder)
        self._at_once = threading.BoundedSemaphore(min(self._folder.cores, _MOST_JOBS))
        return self

    def __exit__(self, *_: object) -> None:
        if not self._folder.close():
            self._remove_again()

    @property
    def boot_id(self) -> str:
        """Tells whether two addresses are one machine."""
        return self._folder.boot_id

    def prepare(self, runtimes: Sequence[str], say: Callable[[str], None]) -> None:
        """Bring the bundles there and try them. TargetError when none of the runtimes works there; one that does not is remembered."""
        say(f"Bringing {', '.join(runtimes)} to {self.name} ({self._machine.architecture}, Python {'.'.join(map(str, self._machine.python))}) …")
        refused = [found for runtime in runtimes if isinstance(found := self._prepared(runtime), EdgeproofError)]
        if runtimes and len(refused) == len(runtimes):
            raise TargetError(f"{self.name} can run none of {', '.join(runtimes)}: {refused[0]}")

    def run(self, job: Job, runtime: str, progress: Callable[[int, int], None] | None = None) -> Message:
        with self._at_once:
            moved, outputs = self._files.take(job)
            with self._worker({**moved, "runtime": runtime}, self._bundle(runtime)) as worker:
                answer = worker.result(progress)
            self._files.fetch(outputs)
            return answer

    def start(self, job: Job, runtime: str) -> Worker:
        moved, _ = self._files.take(job)
        return self._worker({**moved, "runtime": runtime}, self._bundle(runtime))

    def watch(self) -> Worker:
        """A running job `board`, with whichever runtime is there."""
        runtime = next(runtime for runtime, found in self._bundles.items() if isinstance(found, str))
        return self.start({"job": "board"}, runtime)

    def _look(self) -> Machine:
        machine = look(self._ssh)
        if machine.python < OLDEST_PYTHON:
            has, needs = (".".join(map(str, version)) for version in (machine.python, OLDEST_PYTHON))
            raise TargetError(f"{self.name} has Python {has}; a bundle needs {needs} or newer: install it there.")
        return machine

    def _bundle(self, runtime: str) -> str:
        found = self._prepared(runtime)
        if isinstance(found, EdgeproofError):
            raise found
        return found

    def _prepared(self, runtime: str) -> str | EdgeproofError:
        with self._preparing:
            if runtime not in self._bundles:
                try:
                    self._bundles[runtime] = self._bring(runtime)
                except TargetError:
                    raise
                except RuntimeProblem as error:
                    self._bundles[runtime] = error
                except EdgeproofError as error:  # no bundle of it for this board: says nothing about an artifact
                    self._bundles[runtime] = RuntimeMissingError(str(error))
            return self._bundles[runtime]

    def _bring(self, runtime: str) -> str:
        """Copy the bundle there and let it import its runtime: what that costs, or fails at, is no part of a job."""
        bundle = self._supply(self._machine, runtime)
        with zipfile.ZipFile(bundle) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
        place = str(self._files.put(bundle, room=2 * unpacked))  # Python writes its compiled files beside
        with self._worker({"job": "doctor", "runtime": runtime}, place) as worker:
            worker.result()
        return place

    def _worker(self, job: Job, bundle: str) -> Worker:
        # The second: ONNX Runtime's library is one that writes into the user's cache when it is imported.
        places = [f"SHIV_ROOT={self._folder.path}/unpacked", f"XDG_CACHE_HOME={self._folder.path}/cache"]
        command = ["env", *places, "python3", bundle, "job"]
        return _RemoteWorker(job, self._ssh, in_shell(command), self._folder)

    def _remove_again(self) -> None:
        """The connection that held the folder was lost: the board removes the folder by itself, but who can should see to it."""
        with contextlib.suppress(EdgeproofError):  # it cannot be reached: said already
            BoardFolder(self._ssh, left=str(self._folder.path)).close()


class _RemoteWorker(Worker):
    """A worker on a board; its end is told apart from the connection's."""

    def __init__(self, job: Job, ssh: OpenSsh, remote: str, folder: BoardFolder) -> None:
        self._ssh, self._folder = ssh, folder
        super().__init__(job, ssh.command(remote))

    def _crash(self) -> EdgeproofError:
        code = self._process.wait()
        if self._folder.lost:
            return self._folder.problem()
        return self._ssh.problem(code, "".join(self._complaints()), f"The worker ({self._name})", otherwise=RuntimeProblem)
