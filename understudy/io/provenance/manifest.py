"""C2PA manifests: what was made, with what, from what. Offline, signed, tamper-evident."""

from __future__ import annotations

import datetime
import hashlib
import io
import mimetypes
import os
import shutil
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

import c2pa
import numpy as np

from understudy.errors import BadData, BadMedia, BadOption, CannotWrite
from understudy.io import atomic, data_files, scratch
from understudy.io.footage import stills
from understudy.io.provenance.signing_key import Credentials, load_credentials
from understudy.printable import printable, shortened
from understudy.types import Array

# What players show of a video with a replaced face; its manifest says the same, signed.
COMMENT = (
    "synthetic: a face in this video was replaced by a trained model (Understudy). See the content"
    " credentials inside."
)
SYNTHETIC = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
_SOURCES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
# IPTC's words for pictures that a model had a part in.
_MADE_BY_MODELS = {
    f"{_SOURCES}compositeWithTrainedAlgorithmicMedia",
    f"{_SOURCES}trainedAlgorithmicMedia",
}
_FINGERPRINTS = "org.understudy.footage"
# A label of our own, as the specification has it for what no standard assertion says: CreativeWork
# is no longer part of it, a model release (PLUS) is named by an identifier, and what stands as
# rights (Dublin Core) is shown as a copyright notice.
_CONSENT = "org.understudy.consent"
# Of what is written down of consent, in characters.
LONGEST_CONSENT = 1000
_NO_THUMBNAIL = {"builder": {"thumbnail": {"enabled": False}}}
_BLOCK = 1 << 20
# Of a file that is no video: to look into it takes twice as much memory.
_MAX_PICTURE = 256 << 20
# Where in a file what it begins with says which kind it is.
_MAGIC = (
    (0, b"\x89PNG", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    (8, b"AVI ", "video/avi"),
    (4, b"ftyp", "video/mp4"),
)
_LONGEST_TEXT = 300
_TOOL = {"name": "Understudy", "version": version("understudy")}

State = Literal["trusted", "valid", "invalid"]


@dataclass(frozen=True, slots=True)
class Ingredient:
    """Footage that went into a file. role: "parentOf" what was changed, "inputTo" what helped.

    sha256: "" when not written.
    """

    title: str
    role: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a file says about itself, and whether that holds.

    state: "trusted" = untouched, and signed by someone on the list of trust; "valid" = untouched,
    but anybody could have made the certificate; "invalid" = changed since, or badly signed.
    problems: why, in C2PA's codes. made: when, by the signer's own clock. consent: who agreed to
    what, in the words of whoever made the file; "" where nothing is said of it.
    """

    state: State
    problems: tuple[str, ...]
    tool: str
    version: str
    signer: str
    made: str
    is_synthetic: bool
    ingredients: tuple[Ingredient, ...]
    consent: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is signed into files: how they were made, and from what. Made once for any number.

    definition: without a title. histories: the ingredients that have manifests of their own, as
    C2PA archives.
    """

    signer: Credentials
    definition: Mapping[str, Any]
    histories: tuple[bytes, ...]

    @classmethod
    def edited(
        cls,
        ingredients: Sequence[Path],
        signer: Credentials | None = None,
        description: str = "A face was replaced by one that a trained model drew.",
        *,
        consent: str | None = None,
    ) -> Self:
        """Of files that are other footage, changed; all that goes in is read through, here.

        Args:
            ingredients: The footage that was changed first, then what else went in; files, or
                folders of pictures.
            signer: None = this computer's.
            description: What was done to the first.
            consent: Who agreed to what, and where that is written down; None = nothing is said.
                Longer than `LONGEST_CONSENT`, it is cut in its middle.

        Raises:
            BadOption: The certificate does not serve.
            CannotWrite: A new certificate cannot be kept.
        """
        helpers = [f"footage-{number}" for number in range(1, len(ingredients))]
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["footage-0"]}}
        edited = {
            "action": "c2pa.edited",
            **_drawn(description),
            "parameters": {"ingredientIds": helpers} if helpers else {},
        }
        return cls._of([opened, edited], ingredients, signer, consent)

    @classmethod
    def drawn(
        cls, description: str, signer: Credentials | None = None, *, consent: str | None = None
    ) -> Self:
        """Of pictures that a model had a part in, made from nothing that is named.

        consent: as in `edited`.
        """
        return cls._of([{"action": "c2pa.created", **_drawn(description)}], [], signer, consent)

    @classmethod
    def _of(
        cls,
        actions: Sequence[dict[str, Any]],
        ingredients: Sequence[Path],
        signer: Credentials | None,
        consent: str | None,
    ) -> Self:
        plain: list[dict[str, str]] = []
        histories: list[bytes] = []
        prints: list[dict[str, str]] = []
        for number, path in enumerate(ingredients):
            role = "inputTo" if number else "parentOf"
            prints.append({"title": _title(path), "role": role, "sha256": fingerprint(path)})
            ingredient = {
                "title": _title(path),
                "format": _media_type(path),
                "relationship": role,
                "label": f"footage-{number}",
            }
            history = _history(path, ingredient)
            if history is None:
                plain.append(ingredient)
            else:
                histories.append(history)
        assertions: list[dict[str, Any]] = [
            {"label": "c2pa.actions.v2", "data": {"actions": list(actions)}}
        ]
        if prints:
            assertions.append({"label": _FINGERPRINTS, "data": {"footage": prints}})
        if said := clean_consent(consent or ""):
            assertions.append({"label": _CONSENT, "data": {"text": said}})
        definition = {
            "claim_generator_info": [_TOOL],
            "ingredients": plain,
            "assertions": assertions,
        }
        return cls(signer or load_credentials(), definition, tuple(histories))

    def sign(self, unsigned: BinaryIO, path: Path) -> None:
        """Write `path`: `unsigned` with the claim inside, media bytes unchanged. Do it last.

        Any remuxing drops the claim. All or nothing: no file without it has a name, whenever the
        process ends.

        Raises:
            BadMedia: The format cannot carry a manifest.
            BadOption: The certificate does not serve.
            CannotWrite: The disk is full, the place is read-only, or what was signed cannot be
                read back.
        """
        # A signer copies first and signs then: what it writes has no name. In the copy of that the
        # manifest comes before the first picture.
        with scratch.unnamed_file(path.parent) as signed:
            self._sign(unsigned, signed, path)
            signed.seek(0)
            with atomic.partial_file(path) as partial, partial.open("wb") as file:
                shutil.copyfileobj(signed, file, _BLOCK)

    def write_picture(self, path: Path, picture: Array, quality: int = 95) -> None:
        """As `stills.write_image`, with the claim inside. Raises as `sign`."""
        unsigned = io.BytesIO(stills.encode_image(picture, path.suffix, quality))
        atomic.write_bytes(path, self.sign_picture(unsigned, path))

    def sign_picture(self, unsigned: BinaryIO, path: Path) -> bytes:
        """Return the bytes of a picture's file with the claim inside; `path` = its name to be.

        Raises as `sign`.
        """
        signed = io.BytesIO()
        with atomic.explain_os_errors(path):
            self._sign(unsigned, signed, path)
        return signed.getvalue()

    def _sign(self, unsigned: BinaryIO, signed: BinaryIO, path: Path) -> None:
        """Sign into an empty file, and read it back. Raises OSError, too."""
        media_type = _media_type(path)
        source, target = _WatchedFile(unsigned), _WatchedFile(signed)
        try:
            with (
                c2pa.Builder(
                    self._definition(_title(path)), c2pa.Context.from_dict(_NO_THUMBNAIL)
                ) as made,
                _signer(self.signer) as signing,
            ):
                for history in self.histories:
                    made.add_ingredient_from_archive(io.BytesIO(history))
                unsigned.seek(0)
                made.sign(signing, media_type, source, target)
        except c2pa.C2paError as error:
            raise source.error or target.error or _translate_error(error, path) from error
        signed.seek(0)
        try:
            with c2pa.Reader(media_type, signed, context=_reading()) as reader:
                found = _read(reader, path)
        except (c2pa.C2paError, BadData) as error:
            raise _not_signed(path, str(error)) from error
        if found.state == "invalid" or not found.is_synthetic or found.tool != _TOOL["name"]:
            raise _not_signed(path, ", ".join(found.problems) or "another claim than ours")

    def _definition(self, title: str) -> dict[str, Any]:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        actions, *others = self.definition["assertions"]
        dated = [{**action, "when": now} for action in actions["data"]["actions"]]
        return {
            **self.definition,
            "title": title,
            "assertions": [{**actions, "data": {"actions": dated}}, *others],
        }


def validate_credentials() -> Credentials:
    """Return this computer's credentials after they signed one pixel.

    Hours of work must not end at a certificate that does not serve.

    Raises:
        BadOption: They do not serve.
        CannotWrite: A new certificate cannot be kept, or what was signed cannot be read back.
    """
    chosen = load_credentials()
    pixel = io.BytesIO(stills.encode_image(np.zeros((1, 1, 3), np.uint8), ".png"))
    Claim.drawn("One pixel, to try the signer.", chosen).sign_picture(
        pixel, Path("trial picture.png")
    )
    return chosen


def read_manifest(path: Path, trusted: str = "") -> Manifest:
    """Return what the manifest inside the file at `path` says; an invalid one is returned, too.

    trusted: PEM certificates of the authorities to trust.

    Raises:
        BadMedia: There is no such file, no manifest, or one that cannot be read.
    """
    if path.is_dir():
        raise BadMedia(f"{path}: a folder. Give one of its files: each has credentials of its own.")
    if not path.is_file():
        raise BadMedia(f"{path}: no such file. Check the name.")
    if _is_too_large(path):
        raise BadMedia(
            f"{path}: larger than {_MAX_PICTURE >> 20} MB and no video, so it is not looked into."
            " Cut off what follows the picture."
        )
    try:
        with (
            path.open("rb") as file,
            c2pa.Reader(_content_type(path), file, context=_reading(trusted)) as reader,
        ):
            return _read(reader, path)
    except c2pa.C2paError.ManifestNotFound:
        raise BadMedia(
            f"{path}: no content credentials inside. It was not made by Understudy, or another"
            " program dropped them. Ask for the original file."
        ) from None
    except c2pa.C2paError.NotSupported:
        raise BadMedia(
            f"{path}: files of this kind hold no content credentials. Give a video or a picture."
        ) from None
    except c2pa.C2paError as error:
        raise BadMedia(
            f"{path}: content credentials cannot be read: {error}. Ask for the original file."
        ) from None
    except BadData as error:
        raise BadMedia(
            f"{path}: content credentials: {error.reason}. Ask for the original file."
        ) from None


def fingerprint(path: Path) -> str:
    """Return the SHA-256 in hex of a file, or of a folder's files with their names; "" without."""
    if not path.exists():
        return ""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(each for each in path.iterdir() if each.is_file())
    for each in files:
        if each != path:
            digest.update(os.fsencode(each.name) + b"\0")
        with each.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def clean_consent(text: str) -> str:
    """`text` on one line and without control characters; "" where nothing is left."""
    line = " ".join(text.split())
    # Letters of several scripts, and emoji, are joined by characters that nothing draws.
    clean = "".join(
        printable(char) if unicodedata.category(char) in ("Cc", "Cs") else char for char in line
    )
    return shortened(clean, LONGEST_CONSENT)


def _signer(chosen: Credentials) -> c2pa.Signer:
    # No time server: nothing of this may need a network.
    return c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(chosen.algorithm.encode(), chosen.chain, chosen.key, None)
    )


class _WatchedFile:
    """A file for C2PA, which does not tell why it could not be read or written.

    error: the first of the system.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: OSError | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._file, name)

        def watched(*given: Any) -> Any:
            try:
                return method(*given)
            except OSError as error:
                self.error = self.error or error
                raise

        return watched


def _drawn(description: str) -> dict[str, Any]:
    return {"digitalSourceType": SYNTHETIC, "softwareAgent": _TOOL, "description": description}


def _title(path: Path) -> str:
    """Its name, with ? for what is no text there."""
    return path.name.encode("utf-8", "replace").decode()


def _media_type(path: Path) -> str:
    """By its name."""
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _content_type(path: Path) -> str:
    """By its first bytes, since a file may be renamed; by its name where these say nothing.

    Raises OSError.
    """
    with path.open("rb") as file:
        head = file.read(12)
    for place, magic, media_type in _MAGIC:
        if head[place:].startswith(magic):
            return media_type
    return _media_type(path)


def _is_too_large(path: Path) -> bool:
    """Whether a file is no video, which is read in parts, and would take too much memory."""
    is_video = _content_type(path).startswith("video/")
    return not is_video and path.stat().st_size > _MAX_PICTURE


def _history(path: Path, ingredient: dict[str, str]) -> bytes | None:
    """The ingredient with its own manifest, to be kept inside ours; None where it has none.

    One that cannot be read is footage like any other.
    """
    if not path.is_file() or _is_too_large(path):
        return None
    archive, media_type = io.BytesIO(), _content_type(path)
    try:
        with path.open("rb") as file:
            with c2pa.Reader(media_type, file, context=_reading()):
                file.seek(0)
            with c2pa.Builder({}, c2pa.Context.from_dict(_NO_THUMBNAIL)) as builder:
                builder.add_ingredient(ingredient, media_type, file)
                builder.write_ingredient_archive(ingredient["label"], archive)
    except c2pa.C2paError:
        return None
    return archive.getvalue()


def _reading(trusted: str = "") -> c2pa.Context:
    """trusted: PEM certificates of the authorities to trust."""
    settings: dict[str, Any] = {
        "verify": {"verify_trust": True, "ocsp_fetch": False, "remote_manifest_fetch": False}
    }
    if trusted:
        settings["trust"] = {"trust_anchors": trusted}
    return c2pa.Context.from_dict(settings)


def _read(reader: c2pa.Reader, path: Path) -> Manifest:
    return _parse_report(
        data_files.parse_json(reader.json(), str(path)),
        str(reader.get_validation_state() or "Invalid").lower(),
    )


def _not_signed(path: Path, why: str) -> CannotWrite:
    return CannotWrite(
        f"{path}: its mark could not be read back after signing ({why}), so nothing was kept. Run"
        " the same command again; where it comes back, install c2pa-python anew."
    )


def _translate_error(error: c2pa.C2paError, path: Path) -> Exception:
    if isinstance(error, c2pa.C2paError.Io):
        return CannotWrite(
            f"{path}: signing failed: {error}. Run the same command again; where it comes back,"
            " install c2pa-python anew."
        )
    if isinstance(error, c2pa.C2paError.NotSupported):
        return BadMedia(
            f"{path}: this format cannot carry content credentials: {error}. Write mp4 or mov."
        )
    return BadOption(
        f"{path}: signing failed: {error}. Check UNDERSTUDY_SIGN_CERT and UNDERSTUDY_SIGN_KEY."
    )


def _parse_report(report: object, state: str) -> Manifest:
    """What a report says. Whoever signed may have put anything in place of anything."""
    whole = _table(report)
    active = _table(_table(whole.get("manifests")).get(_text(whole.get("active_manifest"))))
    assertions = {
        _text(each.get("label")): _table(each.get("data"))
        for each in _tables(active.get("assertions"))
    }
    actions = [
        action
        for label, data in assertions.items()
        if label.startswith("c2pa.actions")
        for action in _tables(data.get("actions"))
    ]
    prints = {
        (_text(each.get("title")), _text(each.get("role"))): _text(each.get("sha256"))
        for each in _tables(assertions.get(_FINGERPRINTS, {}).get("footage"))
    }
    named = [
        (_text(each.get("title")), _text(each.get("relationship")))
        for each in _tables(active.get("ingredients"))
    ]
    results = _table(_table(whole.get("validation_results")).get("activeManifest"))
    problems = {_text(each.get("code")) for each in _tables(results.get("failure"))}
    tool = next(iter(_tables(active.get("claim_generator_info"))), {})
    signature = _table(active.get("signature_info"))
    times = [_text(action.get("when")) for action in reversed(actions)]
    return Manifest(
        state="trusted" if state == "trusted" else "valid" if state == "valid" else "invalid",
        problems=tuple(sorted(problems - {""})),
        tool=_text(tool.get("name")),
        version=_text(tool.get("version")),
        signer=_text(signature.get("common_name")) or _text(signature.get("issuer")),
        made=_text(signature.get("time")) or next(filter(None, times), ""),
        is_synthetic=any(
            _text(action.get("digitalSourceType")) in _MADE_BY_MODELS for action in actions
        ),
        ingredients=tuple(Ingredient(*name, prints.get(name, "")) for name in named),
        consent=clean_consent(_raw_text(assertions.get(_CONSENT, {}).get("text"))),
    )


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _tables(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _text(value: object) -> str:
    """A text, with as much of it as anybody wants to read."""
    return shortened(_raw_text(value), _LONGEST_TEXT)


def _raw_text(value: object) -> str:
    return value if isinstance(value, str) else ""
