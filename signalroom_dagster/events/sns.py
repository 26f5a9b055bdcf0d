"""Messages of Amazon SNS: whether they are genuine, what they want, and the confirmation of a
subscription.

Nothing is fetched but certificates and confirmations, each from
`https://sns.<region>.amazonaws.com`, and nothing is confirmed but the topics that are configured
for the client.

https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
"""

import base64
import binascii
import functools
import json
import logging
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from signalroom_dagster.errors import SignalRoomError

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10.0
_HOST = re.compile(r"sns\.([a-z]{2}[a-z0-9-]{3,30})\.amazonaws\.com(\.cn)?\Z")
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}
_SIGNED["UnsubscribeConfirmation"] = _SIGNED["SubscriptionConfirmation"]


class SnsError(SignalRoomError):
    """The message is not one of SNS, or of no topic that is configured; says which, without what it
    holds.
    """


class SnsMessages:
    """Judges messages; certificates are fetched once."""

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self._transport = transport
        self._certificate = functools.lru_cache(maxsize=16)(self._fetch)

    def is_news(self, body: bytes, topics: Collection[str]) -> bool:
        """Whether a message is a notification. One that asks for a subscription's confirmation is
        confirmed, and is no news; nor is the notice that S3 sends when the topic is set up. Raises
        SnsError.
        """
        message = _decoded(body)
        kind, topic = message.get("Type", ""), message.get("TopicArn", "")
        if kind not in _SIGNED:
            raise SnsError("not a message of SNS")
        if topic not in topics:
            raise SnsError("the topic is not configured: EVENTS__TRIGGERS__<id>__TOPIC_ARNS")
        self._check_signature(message)
        if kind == "SubscriptionConfirmation":
            self._confirm(message["SubscribeURL"], topic)
        return kind == "Notification" and not _is_test(message["Message"])

    def _confirm(self, url: str, topic: str) -> None:
        if _region(url) != topic.split(":")[3]:
            raise SnsError("the subscription is of another region than its topic")
        self._get(url)
        log.info("confirmed the subscription to %s", topic)

    def _check_signature(self, message: Mapping[str, str]) -> None:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

        digests = {"1": hashes.SHA1, "2": hashes.SHA256}  # as SNS signs; the topic's owner chooses
        try:
            digest = digests[message["SignatureVersion"]]()
            signature = base64.b64decode(message["Signature"], validate=True)
            url = message["SigningCertURL"]
            signed = _signed_text(message)
        except (KeyError, binascii.Error, ValueError):
            raise SnsError("the message has no signature that can be read") from None
        if not (_region(url) and urlsplit(url).path.endswith(".pem")):
            raise SnsError("the signing certificate is not Amazon's")
        key = self._certificate(url).public_key()
        if not isinstance(key, RSAPublicKey):
            raise SnsError("the signing certificate is not an RSA one")
        try:
            key.verify(signature, signed, PKCS1v15(), digest)
        except InvalidSignature:
            raise SnsError("the signature does not fit the message") from None

    def _fetch(self, url: str) -> Any:
        from cryptography import x509

        try:
            return x509.load_pem_x509_certificate(self._get(url))
        except ValueError:
            raise SnsError("the signing certificate cannot be read") from None

    def _get(self, url: str) -> bytes:
        try:
            with httpx.Client(
                transport=self._transport, timeout=TIMEOUT_SECONDS, follow_redirects=False
            ) as client:
                return client.get(url).raise_for_status().content
        except httpx.HTTPError as error:
            raise SnsError(f"Amazon could not be asked ({type(error).__name__})") from None


def _decoded(body: bytes) -> Mapping[str, str]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise SnsError("not a message of SNS") from None
    if not isinstance(found, dict):
        raise SnsError("not a message of SNS")
    return {key: value for key, value in found.items() if isinstance(value, str)}


def _signed_text(message: Mapping[str, str]) -> bytes:
    """What the signature is of: each field's name and value on a line of its own; the subject only
    when there.
    """
    names = [name for name in _SIGNED[message["Type"]] if name in message or name != "Subject"]
    return "".join(f"{name}\n{message[name]}\n" for name in names).encode()


def _region(url: str) -> str | None:
    """The region of an address at SNS, None for any other address."""
    try:
        parts = urlsplit(url)
        found = _HOST.match(parts.hostname or "")
        strange = parts.scheme != "https" or parts.port not in (None, 443) or parts.username
    except ValueError:
        return None
    return found[1] if found and not strange else None


def _is_test(message: str) -> bool:
    try:
        return json.loads(message).get("Event") == "s3:TestEvent"
    except (ValueError, AttributeError, RecursionError):
        return False
