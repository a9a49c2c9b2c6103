"""Who signs: a certificate of the user's own where one is configured, else one made here, once."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from understudy.errors import BadData, BadOption
from understudy.io import atomic, data_files, user_folders

CERTIFICATE, KEY = "certificates.pem", "key.pem"
_YEARS = 10


@dataclass(frozen=True, slots=True)
class Credentials:
    """chain: PEM certificates, the signer's first, its authority's last.

    key: PEM, PKCS 8. algorithm: C2PA's name for it. remark: what a person should know of them.
    """

    chain: bytes
    key: bytes = field(repr=False)
    algorithm: str = "es256"
    remark: str = ""


def load_credentials() -> Credentials:
    """Return what this computer signs with.

    UNDERSTUDY_SIGN_CERT and UNDERSTUDY_SIGN_KEY name PEM files (certificate chain; private key
    without a password). Without them a certificate of our own making is used, kept in
    `credentials_folder()`.

    Raises:
        BadOption: The files do not serve, or only one is named.
        CannotWrite: A new certificate cannot be kept.
    """
    names = [os.environ.get(f"UNDERSTUDY_SIGN_{part}", "") for part in ("CERT", "KEY")]
    if all(names):
        return _read(Path(names[0]), Path(names[1]))
    if any(names):
        raise BadOption(
            "signing: UNDERSTUDY_SIGN_CERT and UNDERSTUDY_SIGN_KEY belong together. Set both, or"
            " neither."
        )
    place = credentials_folder()
    reason = _out_of_date(place / CERTIFICATE)
    if reason or not (place / KEY).exists():
        _make_credentials(place)
    found = _read(place / CERTIFICATE, place / KEY)
    if not reason:
        return found
    return replace(
        found,
        remark=(
            f"signing: this computer's certificate {reason}, so a new one was made. Those who trust"
            f" the old one need the new one, too: {place / CERTIFICATE}"
        ),
    )


def credentials_folder() -> Path:
    """Return where our own certificate lies: $UNDERSTUDY_CREDENTIALS, else in the user's data."""
    named = os.environ.get("UNDERSTUDY_CREDENTIALS", "")
    if named:
        return Path(named)
    return user_folders.data_folder("credentials")


def _read(certificate: Path, key: Path) -> Credentials:
    try:
        chain, secret = data_files.read_bytes(certificate), data_files.read_bytes(key)
        private = serialization.load_pem_private_key(secret, password=None)
        public = x509.load_pem_x509_certificates(chain)[0].public_key()
    except (BadData, ValueError, TypeError) as error:
        reason = error.reason if isinstance(error, BadData) else error
        raise BadOption(
            f"signing with {certificate} and {key}: {reason}. Give a PEM chain and its PEM key"
            " without a password, or move both files away to get a new home-made certificate."
        ) from None
    if private.public_key() != public:
        raise BadOption(
            f"signing: {key} is not the key of the first certificate in {certificate}. Give the"
            " pair that belongs together."
        )
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return Credentials(chain, plain, _algorithm(private, key))


def _algorithm(key: object, path: Path) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise BadOption(
        f"{path}: C2PA does not sign with this kind of key. Take P-256, P-384, P-521, RSA or"
        " Ed25519."
    )


_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


def _out_of_date(certificate: Path) -> str:
    """Why none of our making signs today, or ""."""
    now = datetime.datetime.now(datetime.UTC)
    try:
        chain = x509.load_pem_x509_certificates(data_files.read_bytes(certificate))
    except (BadData, ValueError):
        return ""  # Reading it properly will say what is wrong.
    if any(each.not_valid_after_utc < now for each in chain):
        return "has expired"
    # It was made while the clock was ahead.
    later = max(each.not_valid_before_utc for each in chain)
    return f"is not valid before {later:%Y-%m-%d}" if later > now else ""


def _make_credentials(place: Path) -> None:
    """Make a small authority and a certificate signed by it.

    The authority's key is forgotten at once, so it signs nothing else.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    authority_name, name = (
        _name(f"Understudy {part} of one computer") for part in ("authority", "signer")
    )
    authority = _certificate(
        authority_name, authority_key, authority_name, authority_key, is_authority=True
    )
    signer = _certificate(name, key, authority_name, authority_key, is_authority=False)
    chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (signer, authority))
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with atomic.explain_os_errors(place):
        # Certificate and key must change together, and the key must never be readable by others: a
        # private folder, renamed.
        with atomic.partial_folder(place, mode=0o700) as making:
            (making.path / CERTIFICATE).write_bytes(chain)
            (making.path / KEY).touch(0o600)
            (making.path / KEY).write_bytes(secret)
            _take_place(making, place)


def _take_place(made: atomic.PartialFolder, place: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    try:
        if (place / KEY).exists() and _out_of_date(place / CERTIFICATE):
            place.rename(place.with_name(f"{place.name}-old-{now:%Y%m%d%H%M%S%f}"))
        made.settle(place)
    except OSError:
        # Another run was quicker: its pair is as good as ours.
        if not (place / KEY).exists():
            raise


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Understudy user"),
        ]
    )


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    is_authority: bool,
) -> x509.Certificate:
    """A certificate as C2PA wants it: key usage, extended key usage, identifiers of both keys."""
    now = datetime.datetime.now(datetime.UTC)
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * _YEARS))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not is_authority:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())
