"""What more learning would bring, in words."""

from __future__ import annotations

from understudy.core.plateau import Outlook


def spoken(outlook: Outlook | None) -> str:
    """The outlook of a model's score in one line for people; empty where nobody can say yet."""
    if outlook is None:
        return ""
    share, doubt = 100 * outlook.gain, 100 * outlook.doubt / outlook.now
    brings = f"as many iterations again would take {max(share, 0):.1f} % off its score, give or take {doubt:.1f}"
    return f"plateaued since iteration {outlook.since}: {brings}." if outlook.since is not None else f"not at rest: {brings}."
