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

    layers: those that can stay float, in the network's order. certified: the drop's upper bound must be within the margin, not only the drop;
    given up when not even the float network reaches that: then the images are too few to tell, and the drop itself decides.
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
        """The smallest set found within the margin: one layer if one is enough, else none that could do without any of its layers.

        Raises ModelError, naming the best that was reached, when even all layers are not enough, or too many sets would have to be tried.
        """
        if self.within(int8 := self._try(INT8)):
            return int8
        if len(self.layers) + 2 > MOST_CONVERSIONS:  # each layer is tried alone
            raise ModelError(f"The network has {len(self.layers)} layers to price, and at most {MOST_CONVERSIONS} files are tried: mix by hand.")
        everything = self._try(frozenset(self.layers))
        if self.certified and not self.within(everything):
            self.certified = False
            if self.within(int8):
                return int8
        if not self.within(everything):
            raise ModelError(
                f"Even with every layer float the drop is {said(everything.judgement)}, the margin {self.margin_pp:g}{self._best()}. That loss is "
                "the fine-tuned network's own: fine-tune longer (edgeproof qat --epochs N), or allow more (--max-drop PP)."
            )
        alone = sorted((self._try(frozenset({layer})) for layer in self.layers), key=self._rank)
        if self.within(alone[0]):
            return alone[0]
        return self._without_needless(self._grow(alone))

    def _grow(self, alone: Sequence[Candidate]) -> Candidate:
        """Add to the best layer, step by step, the one that helps it most."""
        current = alone[0]
        while not self.within(current):
            others = [single.keep_float for single in alone if not single.keep_float <= current.keep_float]
            current = min((self._try(current.keep_float | other) for other in others[:STEP_CANDIDATES]), key=self._rank)
        return current

    def _without_needless(self, current: Candidate) -> Candidate:
        """Leave out layers as long as the margin is held: what an early step needed, a later one may have made needless."""
        if len(self.tried) + len(current.keep_float) > MOST_CONVERSIONS:
            return current
        smaller = [self._try(current.keep_float - {layer}) for layer in sorted(current.keep_float)]
        enough = [candidate for candidate in smaller if self.within(candidate)]
        return self._without_needless(min(enough, key=self._rank)) if enough else current

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
        return f" (the best reached: {said(best.judgement)} with {listed(best.keep_float)} float)"


def said(judgement: Judgement) -> str:
    return f"{judgement.drop_pp:.2f} pp (at most {judgement.upper_pp:.2f} at 95 %)"


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
    certified: bool  # by the bound of the drop; else these images are too few, and the drop itself decided
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
