"""Keys with certificates of their own, made once per name: for what Google and Amazon sign."""

from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from google.auth import crypt


@cache
def _key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@cache
def certificate(name: str) -> str:
    """The PEM certificate of a key."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(_key(name).public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(_key(name), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@cache
def google_signer(name: str) -> crypt.RSASigner:
    """What signs tokens as Google does; the key's name is its id."""
    pem = _key(name).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return crypt.RSASigner.from_string(pem, name)


def signature(name: str, text: bytes, version: str) -> bytes:
    """What SNS puts under a message: SHA1 in version 1, SHA256 in version 2."""
    return _key(name).sign(
        text, padding.PKCS1v15(), hashes.SHA1() if version == "1" else hashes.SHA256()
    )
