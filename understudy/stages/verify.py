"""`verify`: what a file says about how it was made, and whether that holds."""

from __future__ import annotations

import textwrap
from pathlib import Path

from understudy.errors import BadData, BadMedia, BadOption
from understudy.io import data_files
from understudy.io.provenance.manifest import read_manifest
from understudy.options import Options, option
from understudy.stages.events import Finished, Note, Stage
from understudy.stages.jobs import verb

_ROLES = {"parentOf": "changed", "inputTo": "used", "componentOf": "contains"}
_STATES = {
    "trusted": "trusted: unchanged since it was signed, by a signer you trust",
    "valid": "valid: unchanged since it was signed; the signer is on no list of trust",
    "invalid": "INVALID: changed after it was signed, or badly signed",
}
# Of one note, in characters: a longer one would be cut.
_WIDEST = 450


class VerifyOptions(Options):
    """What `verify` asks."""

    trust: str | None = option(
        None,
        "PEM file with the certificates of the authorities you trust; then any other signer is"
        " refused",
        formerly="",
    )


@verb
def verify(file: Path, options: VerifyOptions) -> Stage:
    """Read the content credentials of a file: who made it, when, how, and whether they hold.

    Ends with an error when the file has none, or when they do not hold.

    file: a video or picture, as it came to you.
    """
    manifest = read_manifest(file, _anchors(options.trust))
    yield Note(text=f"{file.name}: {_STATES[manifest.state]}")
    yield Note(
        text=(
            f"made with {manifest.tool} {manifest.version}, signed by"
            f" {manifest.signer or 'nobody known'}, {manifest.made}"
        )
    )
    yield Note(
        text=(
            "synthetic: yes, a trained model had a part in it"
            if manifest.is_synthetic
            else "synthetic: not said"
        )
    )
    said = textwrap.wrap(f"consent: {manifest.consent or 'none is written down'}", _WIDEST)
    for text in said:
        yield Note(text=text)
    for each in manifest.ingredients:
        mark = f", sha256 {each.sha256[:16]}…" if each.sha256 else ""
        yield Note(text=f"{_ROLES.get(each.role, each.role)}: {each.title}{mark}")
    if manifest.state == "invalid":
        raise BadMedia(
            f"{file}: content credentials do not hold ({', '.join(manifest.problems)}). Ask for the"
            " original file."
        )
    if options.trust and manifest.state != "trusted":
        raise BadMedia(
            f"{file}: signed by '{manifest.signer}', who is not in {options.trust}. Ask for a file"
            " from someone you trust."
        )
    yield Finished(
        stage="verify",
        summary={
            "state": manifest.state,
            "tool": manifest.tool,
            "version": manifest.version,
            "signer": manifest.signer,
            "made": manifest.made,
            "synthetic": manifest.is_synthetic,
            "consent": manifest.consent or None,
            "ingredients": [
                {"title": each.title, "role": each.role, "sha256": each.sha256}
                for each in manifest.ingredients
            ],
        },
    )


def _anchors(path: str | None) -> str:
    if path is None:
        return ""
    try:
        anchors = data_files.read_text(Path(path))
    except BadData as error:
        raise BadOption(f"--trust {path}: {error.reason}. Give a PEM file.") from None
    if not anchors.isascii():
        raise BadOption(f"--trust {path}: no text in ASCII. Give a PEM file.")
    return anchors
