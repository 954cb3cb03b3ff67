"""The search for the fewest float layers: pure functions of what each set of them loses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.errors import ModelError
from export.mixed import INT8, MOST_CONVERSIONS, Candidate, Judgement, KeepFloat, LayerPrice, Price, Search, price_layers

IMAGES = 1000
BOUND_PP = 0.5  # of every upper bound here, above its drop


def search(broken: Callable[[KeepFloat], int], layers: str, margin_pp: float, *, certified: bool = False) -> Search:
    """A search over one-letter layers, of files that hold their own broken images' number and are one byte larger for each float layer."""

    def convert(keep_float: KeepFloat) -> bytes:
        return f"{broken(keep_float):04}".encode() + "".join(sorted(keep_float)).encode()

    def judge(content: bytes) -> Judgement:
        count = int(content[:4])
        return Judgement(100 * count / IMAGES, 100 * count / IMAGES + BOUND_PP, count, 0)

    return Search(list(layers), convert, judge, margin_pp, certified)


def additive(costs: dict[str, int]) -> Callable[[KeepFloat], int]:
    return lambda keep_float: sum(cost for layer, cost in costs.items() if layer not in keep_float)


def test_nothing_is_kept_float_when_int8_is_within_the_margin() -> None:
    finding = search(additive({"a": 1, "b": 1}), "ab", 0.2)
    assert finding.run().keep_float == INT8
    assert list(finding.tried) == [INT8]


def test_the_one_layer_that_does_the_harm_is_kept_float() -> None:
    finding = search(additive({"a": 2, "b": 30, "c": 2}), "abc", 0.5)
    assert finding.run().keep_float == {"b"}
    assert len(finding.tried) == 5, "int8, all float, and each layer alone"


def test_of_layers_that_are_alike_the_one_that_helps_most_is_kept() -> None:
    assert search(additive({"a": 8, "b": 9, "c": 7}), "abc", 1.7).run().keep_float == {"b"}


def test_where_no_bound_can_be_within_the_margin_the_drop_itself_decides() -> None:
    losses = additive({"a": 4, "b": 30})
    assert search(losses, "ab", 0.6).run().keep_float == {"b"}
    assert search(losses, "ab", 0.6, certified=True).run().keep_float == {"a", "b"}


def test_a_bound_that_not_even_float_layers_reach_is_given_up_for_the_drop() -> None:
    finding = search(additive({"a": 4, "b": 30}), "ab", 0.4, certified=True)
    assert finding.run().keep_float == {"b"}
    assert not finding.certified
    int8_is_no_worse = search(additive({"a": 2, "b": 2}), "ab", 0.4, certified=True)
    assert int8_is_no_worse.run().keep_float == INT8
    assert len(int8_is_no_worse.tried) == 2


def test_a_layer_that_later_ones_make_needless_is_left_out_again() -> None:
    def losses(keep_float: KeepFloat) -> int:  # a helps most alone; b and c only help together, and then need no a
        return 2 if {"b", "c"} <= keep_float else 10 - ("a" in keep_float)

    assert search(losses, "abc", 0.2).run().keep_float == {"b", "c"}


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(0, 9), min_size=1), st.integers(0, 30))
def test_it_finds_the_fewest_where_harms_add_up(costs: dict[str, int], allowed: int) -> None:
    losses, layers = additive(costs), "".join(sorted(costs))
    finding = search(losses, layers, 100 * allowed / IMAGES)
    found = finding.run().keep_float
    sets = [frozenset(chosen) for size in range(len(layers) + 1) for chosen in combinations(layers, size)]
    assert losses(found) <= allowed
    assert len(found) == min(len(chosen) for chosen in sets if losses(chosen) <= allowed)
    assert all(losses(found - {layer}) > allowed for layer in found)


def test_no_set_is_converted_twice() -> None:
    converted: list[KeepFloat] = []
    finding = search(additive(dict.fromkeys("abcdef", 5)), "abcdef", 1.0)
    convert = finding.convert
    finding.convert = lambda keep_float: converted.append(keep_float) or convert(keep_float)  # type: ignore[func-returns-value]
    assert len(finding.run().keep_float) == 4
    assert len(converted) == len(set(converted)) == len(finding.tried)


@pytest.mark.parametrize("certified", [False, True])
def test_a_loss_that_is_not_quantization_s_is_said_with_the_best_reached(certified: bool) -> None:
    finding = search(lambda keep_float: 20 if "b" in keep_float else 30, "abc", 1.0, certified=certified)
    with pytest.raises(ModelError) as refused:
        finding.run()
    best = "2.00 pp (at most 2.50 at 95 %)"
    assert str(refused.value).startswith(
        f"Even with every layer float the drop is {best}, the margin 1 (the best reached: {best} with a, b, c float)."
    )
    assert "edgeproof qat" in str(refused.value)
    assert len(finding.tried) == 2, "int8 and all float: nothing else is worth trying"


def test_it_gives_up_after_a_stated_number_of_conversions() -> None:
    layers = "".join(chr(0x100 + index) for index in range(MOST_CONVERSIONS - 5))
    finding = search(additive(dict.fromkeys(layers, 1)), layers, 0.0)
    with pytest.raises(ModelError, match=f"^{MOST_CONVERSIONS} conversions found no set"):
        finding.run()
    assert len(finding.tried) == MOST_CONVERSIONS


def test_more_layers_than_can_be_priced_are_refused_before_minutes_are_spent() -> None:
    layers = "".join(chr(0x100 + index) for index in range(MOST_CONVERSIONS + 5))
    finding = search(additive(dict.fromkeys(layers, 1)), layers, 0.0)
    with pytest.raises(ModelError, match=f"has {MOST_CONVERSIONS + 5} layers to price"):
        finding.run()
    assert len(finding.tried) == 1


def test_progress_never_passes_its_end() -> None:
    steps: list[tuple[int, int]] = []
    finding = search(additive({"a": 5, "b": 5, "c": 5}), "abc", 0.0)
    finding.progress = lambda done, total, note: steps.append((done, total))
    finding.run()
    assert [done for done, _ in steps] == list(range(len(finding.tried)))
    assert all(done < total for done, total in steps)


def test_each_layer_is_priced_alone_and_each_file_timed_once() -> None:
    finding = search(additive({"a": 3, "b": 30, "c": 0}), "abc", 1.0)
    kept = finding.run()
    timed: list[bytes] = []

    def time(files: Sequence[bytes]) -> list[float]:
        timed.extend(files)
        return [10.0 * len(content) for content in files]

    prices, total = price_layers(finding, kept, time)
    assert prices == (
        LayerPrice(3, 1, 10.0, "a", False),
        LayerPrice(30, 1, 10.0, "b", True),
        LayerPrice(0, 1, 10.0, "c", False),
    )
    assert total == Price(30, 1, 10.0)
    assert len(timed) == len(set(timed)) == 4


def test_several_kept_layers_have_a_price_together() -> None:
    finding = search(additive({"a": 30, "b": 30, "c": 0}), "abc", 1.0)
    kept = finding.run()
    _, total = price_layers(finding, kept, lambda files: [float(len(content)) for content in files])
    assert isinstance(kept, Candidate)
    assert total == Price(60, 2, 2.0)
