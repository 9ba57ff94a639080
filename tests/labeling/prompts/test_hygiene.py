"""What the import notices in a text."""

from __future__ import annotations

import pytest

from labeling.prompts.findings import NAMES, REPORTED
from labeling.prompts.hygiene import (
    KINDS,
    content_hash,
    findings,
    is_iban,
    is_too_long,
    luhn,
    personal_data,
    prefix_hash,
    redacted,
    without_findings,
)
from labeling.prompts.split import Message


def test_everything_that_is_found_has_a_name() -> None:
    assert [*(kind for kind, _pattern, _holds in KINDS), REPORTED] == list(NAMES)


def said(text: str) -> list[Message]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Write to maya.okafor@example.com about it", ["e-mail"]),
        ("Call +49 30 1234 5678 tomorrow", ["phone"]),
        ("Call (555) 010-4477 tomorrow", ["phone"]),
        ("Ring 020 7946 0018 please", ["phone"]),
        ("My card is 4111 1111 1111 1111", ["card"]),
        ("Pay to DE89 3704 0044 0532 0130 00", ["iban"]),
        ("The server 8.8.8.8 does not answer", ["address"]),
        ("It is 2001:4860:4860::8888", ["address"]),
        ("export OPENAI_API_KEY=sk-abcdEFGHijklMNOPqrstUVWX", ["key"]),
        ("AKIAIOSFODNN7EXAMPLE is in the log", ["key"]),
        ("-----BEGIN RSA PRIVATE KEY-----", ["key"]),
        ("a@b.example and 8.8.4.4", ["e-mail", "address"]),
    ],
)
def test_personal_data_is_found(text: str, kinds: list[str]) -> None:
    assert [one.kind for one in findings(text)] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "In 2024-01-15 we sold 1,234,567 units for 12.50 each",
        "Connect to 127.0.0.1:8000 or 192.168.0.10",
        "Version 1.2.3 follows 1.2.2",
        "Order 4111 1111 1111 1112 is late",
        "What is 355/113 to six digits? 3.141593",
        "Use user@localhost in the example",
        "Meet at 10:30:45 or 11:00",
        "Sort [3, 14, 15, 92, 65, 35, 89, 79]",
        "Add 123456789 and 987654321",
    ],
)
def test_ordinary_numbers_are_left_alone(text: str) -> None:
    assert findings(text) == []


def test_redaction_names_the_kind_and_leaves_the_rest() -> None:
    text = "Write to a@b.example or 020 7946 0018, card 4111 1111 1111 1111, from 8.8.8.8."
    assert without_findings(text) == "Write to [e-mail] or [phone], card [card], from [address]."
    assert redacted(said(text))[0]["role"] == "user"
    assert personal_data(redacted(said(text))) == []


def test_redaction_takes_a_whole_private_key() -> None:
    body = "MIIEowIBAAKCAQEA7\nq1yV/0Zr+w==\n"
    whole = f"Use -----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY----- now"
    assert without_findings(whole) == "Use [key] now"
    assert "MIIE" not in without_findings(whole.replace("-----END RSA PRIVATE KEY-----", ""))


def test_check_sums_against_published_examples() -> None:
    assert luhn("79927398713") and not luhn("79927398710")
    assert is_iban("GB82 WEST 1234 5698 7654 32") and not is_iban("GB82 WEST 1234 5698 7654 33")


def test_length_is_counted_in_bytes_of_utf8() -> None:
    assert not is_too_long(said("a" * 4096)) and is_too_long(said("a" * 4097))
    assert not is_too_long(said("漢" * 1365)) and is_too_long(said("漢" * 1366))


def test_the_content_hash_ignores_case_and_white_space_but_not_roles() -> None:
    assert content_hash(said("Hello  World")) == content_hash(said(" hello\nworld "))
    as_system: list[Message] = [{"role": "system", "content": "hello world"}]
    assert content_hash(said("hello world")) != content_hash(as_system)


def test_only_a_long_beginning_makes_a_prefix() -> None:
    assert prefix_hash(said("short")) == ""
    assert prefix_hash(said("a" * 200 + "x")) == prefix_hash(said("a" * 200 + "y")) != ""
    assert prefix_hash(said("b" + "a" * 200)) != prefix_hash(said("a" * 200))
