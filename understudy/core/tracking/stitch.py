"""Joins pieces of tracks to whole ones, over gaps and where it was in doubt which face is which."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from understudy.core.face.landmarks import face_size
from understudy.core.row_blocks import Rows, iter_row_blocks, iter_row_pairs
from understudy.types import Doubles, FloatRows, Floats

# Identities of one person lie about 0.27 apart, those of two 0.84 (dlib's network, on our clips):
# at most `SAME_PERSON`, they are one person; beyond `OTHER_PERSON`, two.
SAME_PERSON: Final = 0.45
OTHER_PERSON: Final = 0.6
# For so long may a face be hidden; over so much of its track is its movement taken; in seconds.
_HIDDEN: Final = 1.0
_TREND: Final = 0.4
# How far a face may turn up from where it was expected, in face sizes: at once, and after the
# longest time.
_REACH: Final = (1.5, 3.0)
# Two joins whose costs are no further apart are in doubt.
_DOUBT: Final = 0.3
# What an unknown identity counts as, and how much of a way that was not gone counts as missed.
_UNKNOWN: Final = 0.35
_STOPPED: Final = 0.25


@dataclass(frozen=True, slots=True)
class SortedFaces:
    """Faces in the order of frames, as columns.

    frame, shot: (N,). middle: (N, 2) of the points. size: (N,) of the face. step: frames from one
    to the next. order: (N,) rows of `landmarks` (M, 68, 2), which are read when they are needed.
    """

    frame: Rows
    shot: Rows
    middle: Doubles
    size: Doubles
    step: int
    order: Rows
    landmarks: FloatRows

    @classmethod
    def of(cls, frame: Rows, landmarks: FloatRows, order: Rows, shot: Rows) -> Self:
        """Make the table of the faces in the rows `order`.

        Args:
            frame: (N,) ascending; only every n-th frame may have been looked at.
            landmarks: (M, 68, 2).
            order: (N,) rows of `landmarks`.
            shot: (N,).
        """
        apart = np.diff(np.unique(frame))
        middle, size = np.zeros((len(frame), 2)), np.zeros(len(frame))
        for rows in iter_row_blocks(len(frame)):
            points = landmarks[order[rows]]
            middle[rows], size[rows] = (
                points.mean(axis=1, dtype=np.float64),
                np.maximum(face_size(points), 1e-6),
            )
        return cls(
            frame, shot, middle, size, int(apart.min()) if len(apart) else 1, order, landmarks
        )

    def points(self, rows: Rows) -> Floats:
        """The points of those faces, (K, 68, 2)."""
        return self.landmarks[self.order[rows]]


def stitch_tracks(
    table: SortedFaces, piece: Rows, fps: float, rows: Rows, vectors: Doubles
) -> Rows:
    """Join pieces of tracks and tell the track of each face.

    The best joins come first. With identities, a join that is in doubt waits until others have
    settled it; if none does, it is not made. Without them, the likeliest join is all there is.

    Args:
        table: N faces.
        piece: (N,) what is surely one face frame by frame, numbered in the order they begin.
        fps: Frames a second.
        rows: (M,) faces whose identity is known.
        vectors: (M, D) these identities.

    Returns:
        (N,) tracks, numbered in the order they begin.
    """
    ends = _Ends.of(table, piece, max(round(_TREND * fps / table.step), 1))
    chains = _Chains.of(ends, piece[rows], vectors)
    joins = _candidate_joins(table, ends, chains, max(round(_HIDDEN * fps), 1))
    beside: dict[int, list[_Join]] = defaultdict(list)
    for join in joins:
        beside[join.before].append(join)
        beside[join.after].append(join)
    waiting: list[_Join] = []
    while len(joins) != len(waiting):
        waiting, joins = joins, []
        for join in waiting:
            if not chains.may_join(join):
                continue
            if len(rows) and not chains.are_known(join) and _is_in_doubt(join, beside, chains):
                joins.append(join)
            else:
                chains.join(join)
    return _renumber(np.array(chains.chain, np.int64)[piece])


@dataclass(frozen=True, slots=True, order=True)
class _Join:
    """Two pieces that may be one face; the smaller the cost, the likelier."""

    cost: float
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class _Ends:
    """Where the P pieces begin and end.

    first, last: (P,) rows. start, end: (P,) frames. speed_first, speed_last: (P, 2) pixels a frame
    at either end. weight: (P,) frames that the speed was taken over; 0 = nothing known.
    """

    first: Rows
    last: Rows
    start: Rows
    end: Rows
    speed_first: Doubles
    speed_last: Doubles
    weight: Doubles

    @classmethod
    def of(cls, table: SortedFaces, piece: Rows, trend: int) -> Self:
        order = np.argsort(piece, kind="stable")
        begins = np.flatnonzero(np.diff(piece[order], prepend=-1))
        stops = np.append(begins[1:], len(order)) - 1
        early, late = (
            order[np.minimum(begins + trend, stops)],
            order[np.maximum(stops - trend, begins)],
        )
        first, last = order[begins], order[stops]
        weight = (table.frame[early] - table.frame[first]).astype(np.float64)
        over = np.maximum(weight, 1)[:, None]
        speeds = (
            (table.middle[early] - table.middle[first]) / over,
            (table.middle[last] - table.middle[late]) / over,
        )
        return cls(first, last, table.frame[first], table.frame[last], *speeds, weight)


@dataclass(slots=True)
class _Chains:
    """Which pieces have been joined.

    chain: of each piece. spans: the pieces of a chain as (start, end), ascending. identity, known:
    by chain, the sum of the vectors and how many there are.
    """

    chain: list[int]
    members: dict[int, list[int]]
    spans: dict[int, list[tuple[int, int]]]
    identity: Doubles
    known: NDArray[np.int64]

    @classmethod
    def of(cls, ends: _Ends, piece: Rows, vectors: Doubles) -> Self:
        count = len(ends.first)
        total = np.zeros((count, vectors.shape[1] if len(piece) else 0))
        np.add.at(total, piece, vectors.reshape(len(piece), total.shape[1]))
        spans = {
            number: [span]
            for number, span in enumerate(zip(ends.start.tolist(), ends.end.tolist(), strict=True))
        }
        return cls(
            list(range(count)),
            {each: [each] for each in range(count)},
            spans,
            total,
            np.bincount(piece, minlength=count),
        )

    def are_known(self, join: _Join) -> bool:
        """Whether identity speaks about this join."""
        return bool(self.known[self.chain[join.before]] and self.known[self.chain[join.after]])

    def may_join(self, join: _Join) -> bool:
        """Whether the two are not one yet, never in one frame, and not known to be two people."""
        one, other = self.chain[join.before], self.chain[join.after]
        if one == other or not self.fit(join.before, join.after):
            return False
        return (
            not self.are_known(join)
            or float(np.linalg.norm(self._mean(one) - self._mean(other))) <= OTHER_PERSON
        )

    def fit(self, one: int, other: int) -> bool:
        """Whether the chains of two pieces are never in the same frame, or are one chain."""
        few, many = sorted((self.spans[self.chain[one]], self.spans[self.chain[other]]), key=len)
        if few is many:
            return True
        for start, end in few:
            at = bisect.bisect_right(many, (end, math.inf))
            if at and many[at - 1][1] >= start:
                return False
        return True

    def join(self, join: _Join) -> None:
        """Make one chain of the two."""
        small, large = sorted(
            (self.chain[join.before], self.chain[join.after]),
            key=lambda each: len(self.members[each]),
        )
        for piece in self.members.pop(small):
            self.chain[piece] = large
            self.members[large].append(piece)
        for span in self.spans.pop(small):
            bisect.insort(self.spans[large], span)
        self.identity[large] += self.identity[small]
        self.known[large] += self.known[small]

    def _mean(self, chain: int) -> Doubles:
        return np.asarray(self.identity[chain] / self.known[chain], np.float64)


def _is_in_doubt(join: _Join, beside: dict[int, list[_Join]], chains: _Chains) -> bool:
    """Whether about as good a join would forbid this one."""
    for end in (join.before, join.after):
        for rival in beside[end]:
            mine, its = (join.before + join.after - end, rival.before + rival.after - end)
            if (
                rival.cost < join.cost + _DOUBT
                and mine != its
                and not chains.fit(mine, its)
                and chains.may_join(rival)
            ):
                return True
    return False


def _candidate_joins(table: SortedFaces, ends: _Ends, chains: _Chains, hidden: int) -> list[_Join]:
    """All pairs of pieces that may be one face, the likeliest first.

    hidden: frames that may be missing between them.
    """
    result: list[_Join] = []
    reached = np.searchsorted(ends.start, ends.end + hidden + table.step, "right")
    for one, other in iter_row_pairs(np.searchsorted(ends.start, ends.end, "right"), reached):
        same_shot = table.shot[ends.last[one]] == table.shot[ends.first[other]]
        one, other = one[same_shot], other[same_shot]
        hidden_for = (ends.start[other] - ends.end[one] - table.step) / hidden
        apart = _identity_distances(chains, one, other)
        reach = (_REACH[0] + hidden_for * (_REACH[1] - _REACH[0])) * np.where(
            apart <= SAME_PERSON, 2, 1
        )
        miss = _prediction_errors(table, ends, one, other) / reach
        near = miss < 1
        one, other, miss = one[near], other[near], miss[near]
        shapes = [
            table.points(rows) - table.middle[rows][:, None]
            for rows in (ends.last[one], ends.first[other])
        ]
        unlike = np.linalg.norm(shapes[0] - shapes[1], axis=-1).mean(axis=1) / _sizes(
            table, ends, one, other
        )
        cost = (
            miss
            + 0.5 * unlike
            + 0.2 * hidden_for[near]
            + 2 * np.where(np.isnan(apart), _UNKNOWN, apart)[near]
        )
        fits = miss + 0.5 * unlike < 1
        result += [
            _Join(*values)
            for values in zip(
                *(column[fits].tolist() for column in (cost, one, other)), strict=True
            )
        ]
    return sorted(result)


def _prediction_errors(table: SortedFaces, ends: _Ends, one: Rows, other: Rows) -> Doubles:
    """How far the later piece begins from where the earlier one was going, in face sizes.

    A face that was hidden may have stopped on its way, at little extra cost.
    """
    frames = (ends.start[other] - ends.end[one])[:, None]
    weights = ends.weight[one][:, None], ends.weight[other][:, None]
    speed = (weights[0] * ends.speed_last[one] + weights[1] * ends.speed_first[other]) / np.maximum(
        weights[0] + weights[1], 1
    )
    way, gone = speed * frames, table.middle[ends.first[other]] - table.middle[ends.last[one]]
    length = np.maximum((way * way).sum(axis=1), 1e-12)
    share = np.clip((way * gone).sum(axis=1) / length, 0, 1)
    off = np.linalg.norm(gone - share[:, None] * way, axis=1) + _STOPPED * (1 - share) * np.sqrt(
        length
    )
    return np.asarray(off / _sizes(table, ends, one, other), np.float64)


def _sizes(table: SortedFaces, ends: _Ends, one: Rows, other: Rows) -> Doubles:
    return np.asarray((table.size[ends.last[one]] + table.size[ends.first[other]]) / 2, np.float64)


def _identity_distances(chains: _Chains, one: Rows, other: Rows) -> Doubles:
    """How far the identities of two pieces lie apart, NaN where one is not known."""
    distance = np.full(len(one), np.nan)
    both = (chains.known[one] > 0) & (chains.known[other] > 0)
    means = [
        chains.identity[rows[both]] / chains.known[rows[both]][:, None] for rows in (one, other)
    ]
    distance[both] = np.linalg.norm(means[0] - means[1], axis=1)
    return distance


def _renumber(track: Rows) -> Rows:
    """The same tracks, numbered from 0 in the order they begin."""
    _, first, inverse = np.unique(track, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[inverse], np.int64)
