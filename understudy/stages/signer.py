"""Who signs what a stage makes: tried before the work begins."""

from __future__ import annotations

from collections.abc import Generator

from understudy.io.provenance.manifest import validate_credentials
from understudy.io.provenance.signing_key import Credentials
from understudy.stages.events import Event, Note, Order


def find_signer() -> Generator[Event, Order | None, Credentials]:
    """Return this computer's credentials after they signed one pixel; a note when they are new.

    Raises BadOption, CannotWrite.
    """
    signer = validate_credentials()
    if signer.remark:
        yield Note(text=signer.remark)
    return signer
