"""When frames are shown, from what a file says of it: absent, jumbled or senseless times mended."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from itertools import pairwise
from statistics import median_low

# A frame is decoded so many places before it is shown at most, in any codec.
_MOST_REORDERED = 16
# So much of what is out of order, and it is no damage: the times are those of decoding.
_FREQUENTLY = 0.1


def mend_times(
    stamps: Sequence[int | None], usual: int, longest: int
) -> tuple[list[int], list[int]]:
    """Return ascending times for frames in the order in which they are shown, and which were wrong.

    Times of decoding are put in order. Of times that contradict each other as few as possible are
    dropped, and those that are absent lie evenly between the others. After a step that makes no
    sense it goes on with the usual one.

    stamps: what the file says of each frame. usual: ticks from frame to frame, where nothing else
    says. longest: ticks that a frame may last.
    """
    placed = [(place, stamp) for place, stamp in enumerate(stamps) if stamp is not None]
    steps = [
        (later - earlier) // (after - before)
        for (before, earlier), (after, later) in pairwise(placed)
    ]
    usual = median_low([step for step in steps if step > 0] or [usual])
    known = [stamp for _, stamp in placed]
    if _is_decoding_order(known, longest):
        ordered = iter(sorted(known))
        stamps = [None if stamp is None else next(ordered) for stamp in stamps]
    kept, wrong = _drop_contradictions(stamps)
    times = _fill(kept, usual)
    mended, surplus = times[:1], 0
    for place, (earlier, later) in enumerate(pairwise(times), 1):
        if later - earlier > longest:
            wrong.append(place)
            surplus += later - earlier - usual
        mended.append(later - surplus)
    return mended, sorted(wrong)


def are_jumbled(stamps: Sequence[int | None], longest: int) -> bool:
    """Whether times do not ascend, or step so far that it makes no sense."""
    known = [stamp for stamp in stamps if stamp is not None]
    return any(not 0 < later - earlier <= longest for earlier, later in pairwise(known))


def _is_decoding_order(known: list[int], longest: int) -> bool:
    """Whether these are times of decoding: jumbled throughout, and none far from its place."""
    ordered = sorted(known)
    descents = sum(later <= earlier for earlier, later in pairwise(known))
    if descents <= _FREQUENTLY * len(known):
        return False
    ranks = {stamp: rank for rank, stamp in enumerate(ordered)}
    return not are_jumbled(ordered, longest) and all(
        abs(ranks[stamp] - place) <= _MOST_REORDERED for place, stamp in enumerate(known)
    )


def _drop_contradictions(stamps: Sequence[int | None]) -> tuple[list[int | None], list[int]]:
    """The longest ascending choice of the times, None elsewhere; and the places of the others."""
    ends: list[int] = []
    places: list[int] = []
    before: dict[int, int] = {}
    for place, stamp in enumerate(stamps):
        if stamp is None:
            continue
        length = bisect.bisect_left(ends, stamp)
        if length == len(ends):
            ends.append(stamp)
            places.append(place)
        elif ends[length] == stamp:
            continue
        ends[length], places[length] = stamp, place
        before[place] = places[length - 1] if length else -1
    chosen = set()
    place = places[-1] if places else -1
    while place >= 0:
        chosen.add(place)
        place = before[place]
    kept = [stamp if place in chosen else None for place, stamp in enumerate(stamps)]
    wrong = [
        place for place, stamp in enumerate(stamps) if stamp is not None and place not in chosen
    ]
    return kept, wrong


def _fill(stamps: Sequence[int | None], usual: int) -> list[int]:
    """The times, absent ones evenly between the others, each later than the one before."""
    known = [(place, stamp) for place, stamp in enumerate(stamps) if stamp is not None] or [(0, 0)]
    first_place, first = known[0]
    last_place, last = known[-1]
    ends = (
        [(-1, first - (first_place + 1) * usual)],
        [(len(stamps), last + (len(stamps) - last_place) * usual)],
    )
    times: list[int] = []
    for (place, stamp), (following, later) in pairwise([*ends[0], *known, *ends[1]]):
        count = following - place
        times += [stamp + (later - stamp) * step // count for step in range(count)]
    times = times[1:]
    for place, (earlier, later) in enumerate(pairwise(times), 1):
        times[place] = max(later, earlier + 1)
    return times
