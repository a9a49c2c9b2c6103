"""C2PA manifests: what was made, with what, from what. Offline, signed, tamper-evident."""

from __future__ import annotations

import datetime
import hashlib
import io
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import c2pa
import cv2
import numpy as np

from understudy.errors import BadData, BadMedia, BadOption, CannotWrite
from understudy.io import atomic, data_files
from understudy.io.provenance.signing_key import Credentials, load_credentials

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
    problems: why, in C2PA's codes. made: when, by the signer's own clock.
    """

    state: State
    problems: tuple[str, ...]
    tool: str
    version: str
    signer: str
    made: str
    is_synthetic: bool
    ingredients: tuple[Ingredient, ...]


def sign(
    unsigned: Path,
    signed: Path,
    ingredients: Sequence[Path],
    signer: Credentials | None = None,
    prints: Sequence[str] | None = None,
) -> None:
    """Write `signed`: `unsigned` with its manifest inside, media bytes unchanged. Do it last.

    Any remuxing drops the manifest. All or nothing.

    Args:
        unsigned: The finished media file.
        signed: Where to write.
        ingredients: The footage that was changed first, then what else went in; files, or folders
            of pictures.
        signer: None = this computer's.
        prints: The `fingerprint` of each ingredient, where they are known.

    Raises:
        BadMedia: The format cannot carry a manifest.
        BadOption: The certificate does not serve.
        CannotWrite: The disk is full, or the place is read-only.
    """
    chosen = signer or load_credentials()
    roles = ["parentOf", *["inputTo"] * (len(ingredients) - 1)]
    known = [fingerprint(path) for path in ingredients] if prints is None else prints
    context = c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})
    with atomic.partial_path(signed) as partial:
        try:
            with c2pa.Builder(
                _definition(signed.name, ingredients, roles, known), context
            ) as builder:
                for number, path in enumerate(ingredients):
                    if _has_manifest(path):
                        # Its own history is kept inside ours.
                        with path.open("rb") as file:
                            builder.add_ingredient(
                                _ingredient(number, path, roles[number]), _media_type(path), file
                            )
                with _signer(chosen) as signing:
                    builder.sign_file(unsigned, partial, signing)
        except c2pa.C2paError as error:
            raise _translate_error(error, unsigned, signed) from error


def validate_credentials() -> Credentials:
    """Return this computer's credentials after they signed one pixel.

    Hours of work must not end at a certificate that does not serve.

    Raises:
        BadOption: They do not serve.
        CannotWrite: A new certificate cannot be kept.
    """
    chosen = load_credentials()
    pixel = io.BytesIO(cv2.imencode(".png", np.zeros((1, 1, 3), np.uint8))[1].tobytes())
    created = {"action": "c2pa.created", "digitalSourceType": f"{_SOURCES}digitalCreation"}
    claim = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}]}
    try:
        with c2pa.Builder(claim) as builder, _signer(chosen) as signing:
            builder.sign(signing, "image/png", pixel, io.BytesIO())
    except c2pa.C2paError as error:
        raise BadOption(
            f"signing: {error}. Check the certificate in UNDERSTUDY_SIGN_CERT and its key."
        ) from error
    return chosen


def read_manifest(path: Path, trusted: str = "") -> Manifest:
    """Return what the manifest inside the file at `path` says; an invalid one is returned, too.

    trusted: PEM certificates of the authorities to trust.

    Raises:
        BadMedia: There is no such file, no manifest, or one that cannot be read.
    """
    settings: dict[str, Any] = {
        "verify": {"verify_trust": True, "ocsp_fetch": False, "remote_manifest_fetch": False}
    }
    if trusted:
        settings["trust"] = {"trust_anchors": trusted}
    if not path.is_file():
        raise BadMedia(f"{path}: no such file. Check the name.")
    try:
        with c2pa.Reader(path, context=c2pa.Context.from_dict(settings)) as reader:
            report = data_files.parse_json(reader.json(), str(path))
            state = str(reader.get_validation_state() or "Invalid").lower()
    except c2pa.C2paError.ManifestNotFound:
        raise BadMedia(
            f"{path}: no content credentials inside. It was not made by Understudy, or another"
            " program dropped them. Ask for the original file."
        ) from None
    except c2pa.C2paError as error:
        raise BadMedia(
            f"{path}: content credentials cannot be read: {error}. Ask for the original file."
        ) from None
    except BadData as error:
        raise BadMedia(
            f"{path}: content credentials: {error.reason}. Ask for the original file."
        ) from None
    return _parse_report(report, state)


def fingerprint(path: Path) -> str:
    """Return the SHA-256 in hex of a file, or of a folder's files with their names; "" without."""
    if not path.exists():
        return ""
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(each for each in path.iterdir() if each.is_file())
    for each in files:
        if each != path:
            digest.update(each.name.encode() + b"\0")
        with each.open("rb") as file:
            for block in iter(lambda: file.read(1 << 20), b""):
                digest.update(block)
    return digest.hexdigest()


def _signer(chosen: Credentials) -> c2pa.Signer:
    # No time server: nothing of this may need a network.
    return c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(chosen.algorithm.encode(), chosen.chain, chosen.key, None)
    )


def _definition(
    title: str, ingredients: Sequence[Path], roles: Sequence[str], known: Sequence[str]
) -> dict[str, Any]:
    edited = [f"footage-{number}" for number in range(1, len(ingredients))]
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    actions = [
        {"action": "c2pa.opened", "when": now, "parameters": {"ingredientIds": ["footage-0"]}},
        {
            "action": "c2pa.edited",
            "when": now,
            "digitalSourceType": SYNTHETIC,
            "softwareAgent": _TOOL,
            "description": "A face was replaced by one that a trained model drew.",
            "parameters": {"ingredientIds": edited} if edited else {},
        },
    ]
    prints = [
        {"title": path.name, "role": role, "sha256": sha256}
        for path, role, sha256 in zip(ingredients, roles, known, strict=True)
    ]
    plain = [
        _ingredient(number, path, roles[number])
        for number, path in enumerate(ingredients)
        if not _has_manifest(path)
    ]
    return {
        "claim_generator_info": [_TOOL],
        "title": title,
        "ingredients": plain,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": _FINGERPRINTS, "data": {"footage": prints}},
        ],
    }


def _ingredient(number: int, path: Path, role: str) -> dict[str, str]:
    return {
        "title": path.name,
        "format": _media_type(path),
        "relationship": role,
        "label": f"footage-{number}",
    }


def _media_type(path: Path) -> str:
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _has_manifest(path: Path) -> bool:
    """Whether there is one that can be read; else it is footage like any other."""
    if not path.is_file() or _media_type(path) not in c2pa.Builder.get_supported_mime_types():
        return False
    try:
        reader = c2pa.Reader.try_create(path)
    except c2pa.C2paError:
        return False
    if reader is None:
        return False
    reader.close()
    return True


def _translate_error(error: c2pa.C2paError, unsigned: Path, signed: Path) -> Exception:
    if isinstance(error, c2pa.C2paError.Io):
        return CannotWrite(
            f"{signed}: signing failed: {error}. Check the space on the disk and the folder's"
            " rights, then merge again."
        )
    if isinstance(error, c2pa.C2paError.NotSupported):
        return BadMedia(
            f"{unsigned}: this format cannot carry content credentials: {error}. Write mp4 or mov."
        )
    return BadOption(
        f"{signed}: signing failed: {error}. Check UNDERSTUDY_SIGN_CERT and UNDERSTUDY_SIGN_KEY."
    )


def _parse_report(report: dict[str, Any], state: str) -> Manifest:
    active = report.get("manifests", {}).get(report.get("active_manifest"), {})
    tool = (active.get("claim_generator_info") or [{}])[0]
    assertions = {each["label"]: each.get("data", {}) for each in active.get("assertions", [])}
    actions = [
        action
        for label, data in assertions.items()
        if label.startswith("c2pa.actions")
        for action in data.get("actions", [])
    ]
    prints = {
        (each["title"], each["role"]): each["sha256"]
        for each in assertions.get(_FINGERPRINTS, {}).get("footage", [])
    }
    ingredients = tuple(
        Ingredient(
            each.get("title", ""),
            each.get("relationship", ""),
            prints.get((each.get("title"), each.get("relationship")), ""),
        )
        for each in active.get("ingredients", [])
    )
    failures = report.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    signature = active.get("signature_info", {})
    return Manifest(
        state="trusted" if state == "trusted" else "valid" if state == "valid" else "invalid",
        problems=tuple(sorted({each["code"] for each in failures})),
        tool=tool.get("name", ""),
        version=tool.get("version", ""),
        signer=signature.get("common_name") or signature.get("issuer", ""),
        made=signature.get("time")
        or next((action["when"] for action in reversed(actions) if "when" in action), ""),
        is_synthetic=any(action.get("digitalSourceType") in _MADE_BY_MODELS for action in actions),
        ingredients=ingredients,
    )
