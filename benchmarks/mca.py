"""Cycles of pieces of aarch64 code on a processor core, as LLVM's machine code analyser (llvm-mca) computes them from its model of that core.

The model knows the pipelines, latencies and widths of a core; it knows no caches (every load hits), no predictor (every branch is foreseen).
What it said is kept: the same code on the same core with the same LLVM is analysed once.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from edge_runtime.errors import InputError, RuntimeMissingError, RuntimeProblem

ITERATIONS = 20  # each piece follows itself so often: what a loop costs, once it runs
OLDEST_LLVM = 19
PACKAGE = "llvm-19"  # Debian's

_FEATURES = "-mattr=+v8.2a,+dotprod,+fullfp16,+lse,+crypto,+crc"  # what no core here has is in no code that ran on it
_TRIPLE = "-mtriple=aarch64"
_SEPARATOR = "brk #0x7e57"  # between disassembled instructions: one that cannot be decoded leaves its place empty
_SEPARATOR_BYTES = (0xD4200000 | 0x7E57 << 5).to_bytes(4, "little")
_AT_ONCE = 2000  # pieces a run of llvm-mca

# A branch stands in a piece as a branch without a goal: llvm-mca would bill a call with 100 cycles, and does not follow any.
_REWRITTEN = (
    (re.compile(r"^(cbn?z|tbn?z)\s+(\w+),.*"), r"cbnz \2, #4"),
    (re.compile(r"^(bl?)\s+#.*"), "b #4"),
    (re.compile(r"^b\.\w+\s.*"), "b.ne #4"),
    (re.compile(r"^(ret|blr|br)\b.*?(x\d+)?$"), "br x30"),
)
_WITHOUT_COST = re.compile(r"^(svc|hint|nop|prfm|brk)\b")


class Analyser:
    """llvm-mca with a memory. `cache`: the folder for what it said."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    @cached_property
    def version(self) -> str:
        """LLVM's version; RuntimeMissingError when there is none, or too old a one."""
        said = subprocess.run([_program("llvm-mca"), "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        found = re.search(r"version (\d+)[\w.-]*", said)
        if not found or int(found.group(1)) < OLDEST_LLVM:
            raise _missing()
        return found.group().removeprefix("version ")

    def cycles(self, pieces: Iterable[bytes], core: str) -> dict[bytes, float]:
        """Cycles of each piece (machine code, 4 bytes an instruction) when it follows itself, on LLVM's model called `core`."""
        wanted = dict.fromkeys(pieces)
        with self._memory(core) as memory:
            known = _recall(memory, wanted)
            new = [piece for piece in wanted if piece not in known]
            for start in range(0, len(new), _AT_ONCE):
                some = new[start : start + _AT_ONCE]
                found = dict(zip(some, _analyse(some, core), strict=True))
                memory.executemany("INSERT OR REPLACE INTO cycles VALUES (?, ?)", [(_key(piece), value) for piece, value in found.items()])
                memory.commit()
                known |= found
        return known

    @contextlib.contextmanager
    def _memory(self, core: str) -> Iterator[sqlite3.Connection]:
        made_from = json.dumps([core, self.version, _FEATURES, ITERATIONS])
        path = self._cache / "cycles" / f"{hashlib.sha256(made_from.encode()).hexdigest()}.sqlite"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.closing(sqlite3.connect(path, timeout=60)) as memory:
                memory.execute("CREATE TABLE IF NOT EXISTS cycles (piece BLOB PRIMARY KEY, cycles REAL) WITHOUT ROWID")
                yield memory
        except (OSError, sqlite3.Error) as error:
            raise InputError(f"Cannot keep cycles in {path} ({error}): remove it, or name another folder in EDGEPROOF_CACHE.") from None


def _key(piece: bytes) -> bytes:
    return hashlib.sha256(piece).digest()


def _recall(memory: sqlite3.Connection, pieces: Iterable[bytes]) -> dict[bytes, float]:
    known = {}
    for piece in pieces:
        row = memory.execute("SELECT cycles FROM cycles WHERE piece = ?", (_key(piece),)).fetchone()
        if row:
            known[piece] = float(row[0])
    return known


def _analyse(pieces: Sequence[bytes], core: str) -> list[float]:
    """Cycles a piece, from one run of llvm-mca."""
    text = disassemble({piece[at : at + 4] for piece in pieces for at in range(0, len(piece), 4)})
    regions = [f"# LLVM-MCA-BEGIN {number}\n{_assembly(piece, text)}\n# LLVM-MCA-END" for number, piece in enumerate(pieces)]
    options = [_TRIPLE, f"-mcpu={core}", _FEATURES, f"-iterations={ITERATIONS}", "-instruction-info=0", "-resource-pressure=0"]
    said = _run([_program("llvm-mca"), *options, "-skip-unsupported-instructions=any"], "\n".join(regions))
    found = re.findall(r"^\[\d+\] Code Region - (\d+)\n.*?^Total Cycles: +(\d+)", said, re.MULTILINE | re.DOTALL)
    cycles = {int(number): int(total) / ITERATIONS for number, total in found}
    return [cycles.get(number, len(piece) / 4) for number, piece in enumerate(pieces)]  # nothing but unknown instructions: one cycle each


def _assembly(piece: bytes, text: Mapping[bytes, str]) -> str:
    lines = [text[piece[at : at + 4]] for at in range(0, len(piece), 4)]
    return "\n".join(line for line in lines if line) or "nop"


def disassemble(words: Iterable[bytes]) -> dict[bytes, str]:
    """What llvm-mca is to read for each instruction; "" for those that cost nothing or cannot be decoded."""
    ordered = sorted(words)
    given = "\n".join(" ".join(f"0x{byte:02x}" for byte in word + _SEPARATOR_BYTES) for word in ordered)
    said = _run([_program("llvm-mc"), "--disassemble", "-triple=aarch64", _FEATURES], given)
    lines = [" ".join(line.split()) for line in said.splitlines() if line.startswith("\t") and not line.startswith("\t.")]
    found, last = [], ""
    for line in lines:
        if line == _SEPARATOR:
            found.append(last)
            last = ""
        else:
            last = line
    return {word: _rewritten(line) for word, line in zip(ordered, found, strict=True)}


def _rewritten(line: str) -> str:
    if _WITHOUT_COST.match(line):
        return ""
    for pattern, replacement in _REWRITTEN:
        line = pattern.sub(replacement, line)
    return line


def have_llvm() -> bool:
    """Whether there is an LLVM on PATH that is not too old. What it cannot do yet, `Analyser` finds out."""
    try:
        _program("llvm-mca"), _program("llvm-mc")
    except RuntimeMissingError:
        return False
    return True


def _program(name: str) -> str:
    """A program of LLVM, of the oldest version that will do: board_times.json was made with it, and models of cores change."""
    named = [f"{name}-{version}" for version in range(OLDEST_LLVM, OLDEST_LLVM + 10)]
    for candidate in (*named, name):
        if shutil.which(candidate):
            return candidate
    raise _missing()


def _missing() -> RuntimeMissingError:
    return RuntimeMissingError(f"Predicted times need LLVM {OLDEST_LLVM} or newer, not installed here: sudo apt-get install {PACKAGE}.")


def _run(command: Sequence[str], text: str) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        raise RuntimeProblem(f"{command[0]} failed: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout
