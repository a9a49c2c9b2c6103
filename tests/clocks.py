"""Another clock for what makes certificates."""

from __future__ import annotations

import datetime
import types
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from understudy.io.provenance import signing_key


@contextmanager
def clock_ahead(days: float) -> Iterator[None]:
    """While the block runs, certificates are made and looked at by a clock that is ahead."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Clock:
            return super().now(tz) + datetime.timedelta(days=days)

    fake = types.SimpleNamespace(
        datetime=Clock, timedelta=datetime.timedelta, UTC=datetime.UTC, date=datetime.date
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signing_key, "datetime", fake)
        yield
