"""Signatures: made as the service makes them, and what is taken for one."""

from __future__ import annotations

import pytest

from flask_webpubsub import InvalidSignatureError
from flask_webpubsub.signature import MAX_TOKENS, sign_connection, verify_signature
from tests.conftest import KEY

# The example in Azure's documents.
CONNECTION_ID = "0f9c97a2f0bf4706afe87a14e0797b11"
DIGEST = "7767effcb3946f3e1de039df4b986ef02c110b1469d02c0a06f41b3b727ab561"

RIGHT = f"sha256={DIGEST}"
WRONG = f"sha256={'0' * 64}"


def test_the_known_answer_is_made() -> None:
    assert sign_connection(CONNECTION_ID, [KEY.encode()]) == RIGHT


def test_one_signature_is_made_for_each_key() -> None:
    header = sign_connection(CONNECTION_ID, [KEY.encode(), b"another"])

    first, second = header.split(",")
    assert first == RIGHT
    assert second == sign_connection(CONNECTION_ID, [b"another"])


ACCEPTED = {
    "as the service sends it": RIGHT,
    "upper-case hex": f"sha256={DIGEST.upper()}",
    "upper-case prefix": f"SHA256={DIGEST}",
    "all in upper case": RIGHT.upper(),
    "the second of two": f"{WRONG},{RIGHT}",
    "the first of two": f"{RIGHT},{WRONG}",
    "blanks around the comma": f" {WRONG} , {RIGHT} ",
    "blanks alone between": f"{WRONG} {RIGHT}",
    "beside tokens of other kinds": f"md5=abc,{RIGHT},hello",
    "beside malformed ones": f"sha256=zz,sha256=,{RIGHT}",
    "the last of sixteen": ",".join([WRONG] * (MAX_TOKENS - 1) + [RIGHT]),
}


@pytest.mark.parametrize("header", ACCEPTED.values(), ids=ACCEPTED)
def test_a_right_signature_is_accepted(header: str) -> None:
    verify_signature(header, CONNECTION_ID, [KEY.encode()])


REFUSED = {
    "missing": None,
    "empty": "",
    "blank": "  ",
    "commas alone": ",,",
    "of another key": WRONG,
    "the prefix alone": "sha256=",
    "hex without its prefix": DIGEST,
    "another prefix": f"sha512={DIGEST}",
    "cut short": RIGHT[:-2],
    "cut by one digit": RIGHT[:-1],
    "longer by a byte": RIGHT + "00",
    "no hex": f"sha256={'g' * 64}",
    "base64": "sha256=d2fv/LOUbz4d4DnfS5hu8CwRCxRp0CwKBvQbO3J6tWE=",
    "blanks between the digits": f"sha256={DIGEST[:32]} {DIGEST[32:]}",
    "no ASCII": f"{RIGHT}é",
    "digits that are no ASCII": f"sha256={chr(0x667) * 64}",
    "not ASCII beside a right one": f"{RIGHT},é",
    "a right one as the seventeenth": ",".join([WRONG] * MAX_TOKENS + [RIGHT]),
    "a right one before sixteen others": ",".join([RIGHT] + [WRONG] * MAX_TOKENS),
    "sixteen wrong ones": ",".join([WRONG] * MAX_TOKENS),
}


@pytest.mark.parametrize("header", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_refused(header: str | None) -> None:
    with pytest.raises(InvalidSignatureError):
        verify_signature(header, CONNECTION_ID, [KEY.encode()])


@pytest.mark.parametrize("known", [["old", "new"], ["new", "old"], ["new"]], ids=" and ".join)
@pytest.mark.parametrize("used", [["new", "older"], ["older", "new"], ["new"]], ids=" and ".join)
def test_any_key_with_any_signature_will_do(known: list[str], used: list[str]) -> None:
    header = sign_connection("id", [key.encode() for key in used])

    verify_signature(header, "id", [key.encode() for key in known])


def test_the_signature_of_another_connection_is_refused() -> None:
    with pytest.raises(InvalidSignatureError):
        verify_signature(RIGHT, CONNECTION_ID + "0", [KEY.encode()])


def test_without_keys_nothing_is_accepted() -> None:
    with pytest.raises(InvalidSignatureError):
        verify_signature(RIGHT, CONNECTION_ID, [])


def test_the_key_is_its_text_and_not_what_its_base64_holds() -> None:
    as_text = sign_connection("id", [b"c2VjcmV0"])

    assert as_text != sign_connection("id", [b"secret"])


def test_a_connection_id_beyond_ascii_is_signed_as_utf_8() -> None:
    verify_signature(sign_connection("gerät", [b"key"]), "gerät", [b"key"])


@pytest.mark.parametrize("header", [WRONG, f"sha256={'g' * 64}", f"{RIGHT}é"], ids=["wrong", "no hex", "no ASCII"])
def test_an_error_shows_neither_the_key_nor_a_signature(header: str) -> None:
    with pytest.raises(InvalidSignatureError) as caught:
        verify_signature(header, CONNECTION_ID, [KEY.encode()])

    for secret in (KEY, DIGEST, "0" * 64, "g" * 64):
        assert secret not in str(caught.value)
