"""`doctor`: what this machine has, what is missing, and how to mend it."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import BadOption, CannotWrite, MissingExtra, UnderstudyError, WeightsMissing
from understudy.io import installation, system
from understudy.io.installation import pip
from understudy.io.provenance import signing_key
from understudy.io.weights.catalog import WEIGHTS
from understudy.io.weights.fetch import weights_folder
from understudy.options import Options, option
from understudy.parts.families import FAMILIES
from understudy.stages.events import Finished, Note, Stage, Warned
from understudy.stages.jobs import verb
from understudy.stages.models import fetch_weights, is_prefetched, locate_weight
from understudy.stages.project import resolve_options

REQUIRED_ENCODERS = ("libx264", "png", "mjpeg", "aac")
# Frames are streamed, not stored, but models, their backups and a result want some room.
REQUIRED_GB = 2.0


class DoctorOptions(Options):
    """What `doctor` asks."""

    fetch: bool = option(False, "Fetch the weights that are missing first")
    folder: Path = option(
        Path(), "The folder you want to work in: its disk and rights are looked at"
    )


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    missing: the error that a command would end with for want of it; None = all is well.
    """

    topic: str
    text: str
    fix: str = ""
    missing: type[UnderstudyError] | None = None


@verb
def doctor(options: DoctorOptions) -> Stage:
    """Look at devices, versions, weights, codecs and disk; say what is missing and how to mend it.

    Ends with an error when something is missing that every swap needs; what is only optional is
    noted.
    """
    chosen = resolve_options("doctor", options)
    if chosen.fetch:
        yield from fetch_weights()
    summary: dict[str, str] = {}
    missing: list[Finding] = []
    for finding in _findings(chosen.folder):
        told = (
            f"{summary[finding.topic]}\n{finding.text}"
            if finding.topic in summary
            else finding.text
        )
        summary[finding.topic] = told
        if finding.missing is not None:
            missing.append(finding)
        elif finding.fix:
            yield Note(text=f"{finding.topic}: {finding.text}. {finding.fix}")
    for finding in missing:
        yield Warned(
            text=f"{finding.topic}: {finding.text.removesuffix('.')}. {finding.fix}".rstrip()
        )
    yield Finished(stage="doctor", summary=summary)
    if missing:
        fixes = " ".join(dict.fromkeys(finding.fix for finding in missing))
        kind = missing[0].missing or UnderstudyError
        raise kind(
            f"doctor: {len(missing)} needed thing(s) missing on this machine, see the warnings."
            f" {fixes}"
        )


def _findings(folder: Path) -> Iterator[Finding]:
    yield Finding("Python", f"{platform.python_version()} on {platform.platform()}")
    yield from _devices()
    yield from _packages()
    yield from _opencv()
    yield from _codecs()
    yield from _weights()
    yield from _outside_parts()
    yield from _disk(folder)
    yield _signing()


def _devices() -> Iterator[Finding]:
    # torch takes seconds to load: only `doctor` itself shall pay for it, not `--help`.
    import torch

    from understudy.nets.device import uses_bf16

    bf16 = "bf16" if uses_bf16("auto", torch.device("cpu")) else "no bf16"
    yield Finding("devices", f"cpu: {system.cpu_count()} cores, {bf16}")
    for number in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(number)
        bf16 = "bf16" if uses_bf16("auto", torch.device("cuda", number)) else "no bf16"
        yield Finding(
            "devices", f"cuda:{number}: {facts.name}, {facts.total_memory / 2**30:.0f} GiB, {bf16}"
        )
    if torch.backends.mps.is_available():
        yield Finding("devices", "mps: Apple GPU")
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        yield Finding(
            "devices",
            "no GPU that PyTorch can use",
            "Training works on the CPU too, but far slower.",
        )


def _packages() -> Iterator[Finding]:
    for extra, packages in installation.requirements().items():
        absent = [name for name, found in packages.items() if found is None]
        here = ", ".join(f"{name} {found}" for name, found in packages.items() if found is not None)
        topic = f"packages for {extra}" if extra else "packages"
        if here:
            yield Finding(topic, here)
        if absent and not extra:
            yield Finding(
                topic,
                f"not installed: {', '.join(absent)}",
                f"Run: {installation.install_missing()}",
                MissingExtra,
            )
        elif absent:
            fix = f"Optional. To have it: {installation.install_extra(extra)}"
            yield Finding(topic, f"not installed: {', '.join(absent)}", fix)


def _opencv() -> Iterator[Finding]:
    found = system.opencv_packages()
    if len(found) > 1:
        fix = f"Run: {pip('uninstall', *found)}, then {pip('install', 'opencv-python-headless')}"
        yield Finding("OpenCV", f"{' and '.join(found)} overwrite each other", fix, MissingExtra)


def _codecs() -> Iterator[Finding]:
    libraries = system.ffmpeg_versions()
    yield Finding(
        "codecs",
        ", ".join(
            f"{name} {libraries[name]}"
            for name in ("libavcodec", "libavformat")
            if name in libraries
        ),
    )
    absent = system.missing_encoders(REQUIRED_ENCODERS)
    if absent:
        fix = f"Run: {pip('install', '--force-reinstall', '--only-binary', 'av', 'av')}"
        yield Finding("codecs", f"PyAV cannot write {', '.join(absent)}", fix, MissingExtra)


def _weights() -> Iterator[Finding]:
    for weight in WEIGHTS.values():
        place, problem = locate_weight(weight)
        if problem:
            yield Finding("weights", problem, "Then run: understudy models --fetch", WeightsMissing)
        elif place != "missing":
            yield Finding("weights", f"{weight.name}: {place}")
        elif is_prefetched(weight):
            yield Finding(
                "weights",
                f"{weight.name}: missing",
                "Run: understudy models --fetch",
                WeightsMissing,
            )
        else:
            yield Finding(
                "weights", f"{weight.name}: missing", f"Optional. It comes with {weight.source}"
            )


def _disk(folder: Path) -> Iterator[Finding]:
    for topic, place in (("work folder", folder.absolute()), ("cache", weights_folder())):
        free = system.free_bytes(place) / 1e9
        if not system.can_write(place):
            # A cache that cannot be written is no harm once the weights are somewhere.
            fix = "Change its rights, or choose another folder."
            yield Finding(
                topic,
                f"{place} cannot be written to",
                fix,
                CannotWrite if topic == "work folder" else None,
            )
        elif topic == "work folder" and free < REQUIRED_GB:
            yield Finding(
                topic,
                f"{place}: only {free:.1f} GB free",
                f"Free at least {REQUIRED_GB:g} GB.",
                CannotWrite,
            )
        else:
            yield Finding(topic, f"{place}: {free:.1f} GB free")
    models = os.environ.get("UNDERSTUDY_MODELS")
    if models:
        yield Finding("models folder", models)


def _outside_parts() -> Iterator[Finding]:
    """The parts that other packages brought, and what of them cannot be used."""
    topic = "parts of other packages"
    for family in FAMILIES:
        for name, origin in family.origins().items():
            yield Finding(topic, f"{family.noun} {name}, of {origin}")
        for each in family.unusable():
            text = f"{family.noun} {each.name}, of {each.origin}, cannot be used: {each.reason}"
            yield Finding(topic, text.removesuffix("."), each.advice)


def _signing() -> Finding:
    place = signing_key.credentials_folder()
    given = {
        name for name in ("UNDERSTUDY_SIGN_CERT", "UNDERSTUDY_SIGN_KEY") if os.environ.get(name)
    }
    if not given and not (place / signing_key.KEY).exists():
        # Making one is the first merge's business: to look must change nothing.
        text = f"a certificate for this computer will be made in {place} at the first merge"
        if system.can_write(place):
            return Finding("signing", text)
        return Finding(
            "signing",
            f"{place} cannot be written to",
            "Let UNDERSTUDY_CREDENTIALS name another folder.",
            CannotWrite,
        )
    try:
        signing_key.load_credentials()
    except BadOption as problem:
        return Finding("signing", str(problem), "", BadOption)
    return Finding(
        "signing",
        (
            "with the certificate that UNDERSTUDY_SIGN_CERT names"
            if given
            else f"with the certificate in {place}"
        ),
    )
