"""Certificates that were made under another clock than today's."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from clocks import clock_ahead
from fuzzing import rounds

from understudy.errors import BadOption
from understudy.io.provenance import signing_key
from understudy.io.provenance.manifest import Claim, read_manifest, validate_credentials

PIXEL = np.zeros((1, 1, 3), np.uint8)
YEAR = 365


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNDERSTUDY_CREDENTIALS", str(tmp_path / "credentials"))
    return tmp_path / "credentials"


def kept(place: Path) -> bytes:
    return (place / signing_key.CERTIFICATE).read_bytes()


@pytest.mark.parametrize(
    ("days", "why"),
    [
        (2, "is not valid before 20"),
        (400, "is not valid before 20"),
        (20 * YEAR, "is not valid before 20"),
        (-11 * YEAR, "has expired"),
    ],
)
def test_one_that_does_not_hold_today_is_replaced_with_a_word(
    days: int, why: str, place: Path, tmp_path: Path
) -> None:
    with clock_ahead(days):
        assert signing_key.load_credentials().remark == ""
    former = kept(place)
    signer = validate_credentials()
    assert f"certificate {why}" in signer.remark and str(place) in signer.remark
    assert signer.remark.endswith(".pem")
    # Only once, and the old one is still there.
    assert validate_credentials().remark == "" and kept(place) == signer.chain != former
    (old,) = (each for each in tmp_path.iterdir() if each != place)
    assert old.name.startswith("credentials-old-") and kept(old) == former
    Claim.drawn("A pixel.").write_picture(tmp_path / "a.png", PIXEL)
    assert read_manifest(tmp_path / "a.png").state == "valid"


@pytest.mark.parametrize("days", [0.5, -0.5, -YEAR, -9.9 * YEAR])
def test_one_that_holds_today_is_kept(days: float, place: Path) -> None:
    with clock_ahead(days):
        signing_key.load_credentials()
    before = kept(place)
    assert validate_credentials().remark == "" and kept(place) == before


def test_a_clock_that_went_back_is_followed(place: Path) -> None:
    validate_credentials()
    with clock_ahead(-30):
        assert "is not valid before" in signing_key.load_credentials().remark
    # It holds now as well as then.
    assert validate_credentials().remark == ""


def test_fuzz_clocks(place: Path, tmp_path: Path) -> None:
    """Wherever the clock jumps, what is signed after it stands right again holds."""
    rng = random.Random(0)
    for number in range(rounds(10)):
        with clock_ahead(rng.choice((1, -1)) * 10 ** rng.uniform(-1, 4)):
            signing_key.load_credentials()
        path = tmp_path / f"{number}.png"
        Claim.drawn("A pixel.").write_picture(path, PIXEL)
        assert read_manifest(path).state == "valid"


def test_one_of_ones_own_is_never_replaced(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with clock_ahead(YEAR):
        signing_key.load_credentials()
    own = place.rename(tmp_path / "own")
    monkeypatch.setenv("UNDERSTUDY_SIGN_CERT", str(own / signing_key.CERTIFICATE))
    monkeypatch.setenv("UNDERSTUDY_SIGN_KEY", str(own / signing_key.KEY))
    before = kept(own)
    with pytest.raises(BadOption, match="not valid at time of signing"):
        validate_credentials()
    assert kept(own) == before and not place.exists()
