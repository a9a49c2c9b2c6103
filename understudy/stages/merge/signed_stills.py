"""Pictures with a replaced face, marked as synthetic like the videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from understudy.io.footage import stills
from understudy.io.provenance import manifest
from understudy.io.provenance.signing_key import Credentials
from understudy.types import Array


@dataclass(frozen=True, slots=True)
class SignedImageWriter:
    """Writes pictures with content credentials.

    ingredients: what they were made from. fingerprints: of those.
    """

    ingredients: tuple[Path, ...]
    fingerprints: tuple[str, ...]
    signer: Credentials

    @classmethod
    def of(cls, ingredients: Sequence[Path], signer: Credentials) -> Self:
        """For pictures made from this footage, the one that was changed first.

        It is read through once, here.
        """
        return cls(
            tuple(ingredients), tuple(manifest.fingerprint(path) for path in ingredients), signer
        )

    def write(self, path: Path, picture: Array) -> None:
        """Write a picture as in `stills.write_image`, all or nothing.

        picture: (H, W) or (H, W, 3), uint8 or uint16. Raises CannotWrite, BadOption.
        """
        unsigned = path.with_name(f".{path.stem}-unsigned{path.suffix}")
        try:
            stills.write_image(unsigned, picture)
            manifest.sign(unsigned, path, self.ingredients, self.signer, self.fingerprints)
        finally:
            unsigned.unlink(missing_ok=True)
