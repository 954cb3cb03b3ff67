"""Which layers must stay float for an export to answer like its baseline: the fewest, each with its price.

The search knows neither Keras nor images: it is handed `convert`, which makes a file with some layers float, and `judge`, which counts what
that file gets wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_runtime.errors import ModelError
from edge_runtime.progress import Progress, silent

FORMAT = "tflite-mixed"
MOST_CONVERSIONS = 100
STEP_CANDIDATES = 4  # a growing set is tried with these many of the layers not yet in it, the best of them alone first

KeepFloat = frozenset[str]
INT8: KeepFloat = frozenset()


@dataclass(frozen=True)
class Judgement:
    """What a file loses against the baseline, in percentage points and in images. `upper_pp`: the one-sided 95 % bound of the drop."""

    drop_pp: float
    upper_pp: float
    broken: int
    fixed: int


@dataclass(frozen=True)
class Candidate:
    """One file, and what it loses."""

    keep_float: KeepFloat
    content: bytes
    judgement: Judgement


@dataclass
class Search:
    """The search for the smallest set of float layers. Each set is converted and judged at most once, and at most MOST_CONVERSIONS in all.

    layers: those that can stay float, in the network's order. certified: the drop's upper bound must be within the margin, not only the drop.
    """

    layers: Sequence[str]
    convert: Callable[[KeepFloat], bytes]
    judge: Callable[[bytes], Judgement]
    margin_pp: float
    certified: bool
    progress: Progress = silent
    tried: dict[KeepFloat, Candidate] = field(default_factory=dict)

    def within(self, candidate: Candidate) -> bool:
        return self._measure(candidate) <= self.margin_pp

    def run(self) -> Candidate:
        """The smallest set found within the margin; no layer of it can be left out. Raises ModelError, naming the best, when there is none."""
        if self.within(int8 := self._try(INT8)):
            return int8
        alone = sorted((self._try(frozenset({layer})) for layer in self.layers), key=self._rank)
        if self.within(alone[0]):
            return alone[0]
        if not self.within(everything := self._try(frozenset(self.layers))):
            raise ModelError(
                f"Even with every layer float the drop is {self._said(everything)}, the margin {self.margin_pp:g}{self._best()}. That loss is the "
                "fine-tuned network's own: fine-tune longer (edgeproof qat --epochs N), or allow more (--max-drop PP)."
            )
        return self._without_needless(self._grow(alone))

    def _grow(self, alone: Sequence[Candidate]) -> Candidate:
        """Add to the best layer, step by step, the one that helps it most."""
        current = alone[0]
        while not self.within(current):
            others = [single.keep_float for single in alone if not single.keep_float <= current.keep_float]
            current = min((self._try(current.keep_float | other) for other in others[:STEP_CANDIDATES]), key=self._rank)
        return current

    def _without_needless(self, current: Candidate) -> Candidate:
        """Leave out every layer without which the margin is still held: one that an earlier step needed and a later one does not."""
        for layer in sorted(current.keep_float):
            smaller = self._try(current.keep_float - {layer})
            if self.within(smaller):
                current = smaller
        return current

    def _try(self, keep_float: KeepFloat) -> Candidate:
        if keep_float not in self.tried:
            if len(self.tried) == MOST_CONVERSIONS:
                raise ModelError(f"{MOST_CONVERSIONS} conversions found no set of float layers within {self.margin_pp:g} pp{self._best()}.")
            self.progress(len(self.tried), max(len(self.layers) + 2, len(self.tried) + 1), f"float: {listed(keep_float)}")
            content = self.convert(keep_float)
            self.tried[keep_float] = Candidate(keep_float, content, self.judge(content))
        return self.tried[keep_float]

    def _measure(self, candidate: Candidate) -> float:
        return candidate.judgement.upper_pp if self.certified else candidate.judgement.drop_pp

    def _rank(self, candidate: Candidate) -> tuple[float, int, int]:
        return self._measure(candidate), candidate.judgement.broken, len(candidate.content)

    def _best(self) -> str:
        best = min(self.tried.values(), key=self._rank)
        return f" (the best reached: {self._said(best)} with {listed(best.keep_float)} float)"

    def _said(self, candidate: Candidate) -> str:
        return f"{'at most ' if self.certified else ''}{self._measure(candidate):.2f} pp"


def listed(layers: Collection[str]) -> str:
    return ", ".join(sorted(layers)) or "no layer"


@dataclass(frozen=True)
class Price:
    """What it brings and costs to keep some layers float, against the all-int8 file."""

    flips_undone: int  # images that int8 breaks, less those that are still or newly broken
    bytes: int
    microseconds: float  # of one inference


@dataclass(frozen=True)
class LayerPrice(Price):
    """The price of one layer kept float alone."""

    layer: str
    kept_float: bool


@dataclass(frozen=True)
class Mix:
    """What became of a search. content: the file, None when int8 needs no help."""

    content: bytes | None
    kept_float: tuple[str, ...]  # in the network's order
    prices: tuple[LayerPrice, ...]
    sentence: str
    margin_pp: float
    certified: bool
    images: int
    int8: Judgement
    mixed: Judgement
    total: Price
    conversions: int

    def to_dict(self) -> dict[str, Any]:
        """All but the file."""
        return {name: value for name, value in asdict(self).items() if name != "content"}


Time = Callable[[Sequence[bytes]], Sequence[float]]  # microseconds of one inference with each of these files


def price_layers(search: Search, kept: Candidate, time: Time) -> tuple[tuple[LayerPrice, ...], Price]:
    """(each layer's price alone, the price of those kept) of a search that has run."""
    int8, alone = search.tried[INT8], [search.tried[frozenset({layer})] for layer in search.layers]
    files = dict.fromkeys([int8.content, *(single.content for single in alone), kept.content])  # each once, in order
    microseconds = dict(zip(files, time(list(files)), strict=True))

    def against_int8(candidate: Candidate) -> dict[str, Any]:
        return {
            "flips_undone": int8.judgement.broken - candidate.judgement.broken,
            "bytes": len(candidate.content) - len(int8.content),
            "microseconds": microseconds[candidate.content] - microseconds[int8.content],
        }

    prices = [
        LayerPrice(layer=layer, kept_float=layer in kept.keep_float, **against_int8(single))
        for layer, single in zip(search.layers, alone, strict=True)
    ]
    return tuple(prices), Price(**against_int8(kept))
