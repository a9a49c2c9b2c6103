"""The mark of footage with a replaced face, carried on to what is made from it."""

from __future__ import annotations

from collections.abc import Generator

from understudy.io.footage.base import Footage
from understudy.io.footage.image_sequence import ImageSequence
from understudy.io.provenance.manifest import Claim
from understudy.io.provenance.marked import is_marked, written_consent
from understudy.io.provenance.signing_key import Credentials
from understudy.stages.events import Event, Note, Order
from understudy.stages.signer import find_signer

Found = Generator[Event, Order | None, Claim | None]


class CarriedMarks:
    """What is signed into files made from footage by a verb; None for what bears no mark.

    What the footage says of consent they say, too. The first mark is told in a note. Raises
    BadOption, CannotWrite.
    """

    def __init__(self, source: Footage, verb: str) -> None:
        self._source, self._verb = source, verb
        self._signer: Credentials | None = None
        self._whole: Claim | None = None
        self._is_known = False

    def claim(self, index: int) -> Found:
        """For a picture of the frame."""
        if not isinstance(self._source, ImageSequence):
            return (yield from self.claim_of_all())
        file = self._source.shown_file(index)
        if file is None or not is_marked(file):
            return None
        signer = yield from self._find_signer()
        return Claim.edited([file], signer, self._description, consent=written_consent(file))

    def claim_of_all(self) -> Found:
        """For a video of many frames: marked when any of the footage is. Looked for once."""
        if not self._is_known:
            source, self._is_known = self._source, True
            if (marked := next(filter(is_marked, source.files), None)) is not None:
                signer = yield from self._find_signer()
                went_in = [source.path, *([marked] if marked != source.path else [])]
                self._whole = Claim.edited(
                    went_in, signer, self._description, consent=written_consent(marked)
                )
        return self._whole

    @property
    def _description(self) -> str:
        return f"Written anew ({self._verb}) from footage in which a face was replaced."

    def _find_signer(self) -> Generator[Event, Order | None, Credentials]:
        if self._signer is None:
            self._signer = yield from find_signer()
            yield Note(
                text=(
                    f"{self._source.path.name}: marked as synthetic, and what is made from it will"
                    " be, too."
                )
            )
        return self._signer
