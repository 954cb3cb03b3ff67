"""Is a workspace's report about these very bytes? Walks the chain data -> split -> baseline -> folded -> QAT -> artifacts -> report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial

from edge_runtime.errors import EdgeproofError
from edgeproof.console import Console
from edgeproof.stages.links import MANIFEST, Chain, Unseen
from edgeproof.stages.report_links import WRITTEN, check_judged, check_rejudged, check_written
from edgeproof.workspace import Workspace

# The stages' records, in order, and what a user calls what they make.
_RECORDS = {"training.json": "baseline", "folded.json": "folded model", "qat.json": "QAT model", MANIFEST: "artifacts", "parity.json": "report"}
_SHORT = {"baseline": "baseline", "folded": "folded", "qat": "QAT"}
_TWICE = "converted twice"
_WORDS = {True: "ok     ", False: "BROKEN ", None: "unseen "}


@dataclass(frozen=True)
class Link:
    """One step of the chain: `holds` is None where it cannot be verified on this machine, and `detail` says why."""

    subject: str
    holds: bool | None
    detail: str


def check_workspace(place: Workspace, console: Console, *, reproducible: bool = False) -> int:
    """Print every link and the first break; `reproducible` converts every artifact twice more. Returns the exit code: 0 whole, 1 broken.

    MissingInputError for a folder without a baseline.
    """
    links: list[Link] = []
    for link in walk(place):
        _show(console, links, link)
    if reproducible and _breaks(links):
        _show(console, links, Link(_TWICE, None, "not looked at: the chain is broken"))
    elif reproducible:
        from edgeproof.stages.reproducing import convert_twice

        for holds, detail in convert_twice(place, console):
            _show(console, links, Link(_TWICE, holds, detail))
    sentence = closing_sentence(place, links)
    broken = _breaks(links)
    console.show(sentence)
    console.give(
        {
            "workspace": str(place.path),
            "whole": not broken,
            "broken_at": broken[0].subject if broken else None,
            "links": [asdict(link) for link in links],
            "not_yet": _not_yet(place),
            "sentence": sentence,
        }
    )
    return 1 if broken else 0


def _show(console: Console, links: list[Link], link: Link) -> None:
    links.append(link)
    console.show(f"{_WORDS[link.holds]}{link.subject}: {link.detail}")


def walk(place: Workspace) -> Iterator[Link]:
    """Every link in order, as far as the workspace has got. A break does not end the walk: what hangs on it says so by itself."""
    place.require("training.json")
    chain = Chain(place)
    for subject, check in _checks(chain):
        yield _link(subject, check)


def closing_sentence(place: Workspace, links: Sequence[Link]) -> str:
    """What the walk came to, and what to do."""
    broken = _breaks(links)
    if broken:
        others = f" ({len(broken) - 1} more of {len(links)} links do not hold.)" if len(broken) > 1 else ""
        return f"Broken at {broken[0].subject}: {broken[0].detail}{others}"
    last = next(name for record, name in reversed(_RECORDS.items()) if place.has(record))
    chain, twice = ([link for link in links if (link.subject == _TWICE) is again] for again in (False, True))
    held = sum(link.holds is True for link in chain)
    sentence = f"Whole: {held} links from data to {last}."
    if held < len(chain):
        sentence = f"Whole as far as can be seen here: {held} of {len(chain)} links from data to {last} hold, none is broken."
    if twice:
        sentence += f" Converted twice, {sum(link.holds is True for link in twice)} of {len(twice)} artifacts came out byte for byte."
    missing = _not_yet(place)
    return f"{sentence} Not there yet: {', '.join(missing)}." if missing else sentence


def _breaks(links: Sequence[Link]) -> list[Link]:
    return [link for link in links if link.holds is False]


def _not_yet(place: Workspace) -> list[str]:
    """What the stages after the last one that ran would make."""
    records = list(_RECORDS)
    last = max(index for index, record in enumerate(records) if place.has(record))
    return [_RECORDS[record] for record in records[last + 1 :]]


def _checks(chain: Chain) -> Iterator[tuple[str, Callable[[], str]]]:
    """What to look at, as far as the workspace has got."""
    has = chain.workspace.has
    yield "data", chain.check_data
    yield "data → split", chain.check_split
    yield "split → validation images", chain.check_validation
    yield "data → baseline", chain.check_baseline
    if chain.expects("folded") or has("qat.json"):
        yield "baseline → folded", partial(chain.check_stage, "folded", "folded.keras", ("baseline",))
    if chain.expects("qat"):
        yield "folded → QAT", partial(chain.check_stage, "qat", "qat.h5", ("baseline", "folded"))
    if has(MANIFEST):
        yield from _manifest_checks(chain)
    if has("parity.json"):
        yield "artifacts → report", partial(check_judged, chain)
        yield "answers → report", partial(check_rejudged, chain)
        if any(map(has, WRITTEN)):
            yield "report → its other forms", partial(check_written, chain)


def _manifest_checks(chain: Chain) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "models → manifest", chain.check_inputs
    made_here = any(facts.get("source") != "baseline" for facts in chain.artifacts.values())
    if made_here:  # strangers' exports come with neither
        yield "split → calibration", chain.check_calibration
    for name, facts in chain.artifacts.items():
        yield f"{_SHORT.get(facts.get('source', ''), 'model')} → artifact", partial(chain.check_artifact, name)
    if made_here:
        yield "artifacts → golden vectors", chain.check_golden


def _link(subject: str, check: Callable[[], str]) -> Link:
    try:
        return Link(subject, True, check())
    except Unseen as reason:
        return Link(subject, None, str(reason))
    except ModuleNotFoundError as error:
        return Link(subject, None, f"needs {error.name}, which is not installed here")
    except EdgeproofError as error:
        return Link(subject, False, str(error))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError) as error:  # a record that is JSON, but not ours
        return Link(subject, False, f"its records cannot be read ({type(error).__name__}: {error}).")
