from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from expert_kit.errors import ExpertKitError
from expert_kit.signing import KEY_TYPES, Policy, key_id, sign, split_lines, verified_signers, verify_line

KEYS = {name: make() for name, make in KEY_TYPES.items()}


@given(statement=st.binary(max_size=300), key_type=st.sampled_from(sorted(KEYS)))
def test_what_is_signed_verifies(statement: bytes, key_type: str) -> None:
    key = KEYS[key_type]
    line = sign(statement, key)
    assert verified_signers(line + b"\n", statement) == (key_id(key.public_key()),)
    assert split_lines(line + b"\n") == [line]


@given(statement=st.binary(min_size=1, max_size=200), key_type=st.sampled_from(sorted(KEYS)), data=st.data())
def test_a_line_with_a_changed_byte_never_verifies(statement: bytes, key_type: str, data: st.DataObject) -> None:
    key = KEYS[key_type]
    line = sign(statement, key)
    offset = data.draw(st.integers(0, len(line) - 1))
    change = data.draw(st.integers(1, 255))
    spoiled = line[:offset] + bytes([line[offset] ^ change]) + line[offset + 1 :]
    with pytest.raises(ExpertKitError):
        verify_line(spoiled, statement, {key_id(key.public_key())})


@given(signed=st.binary(max_size=200), expected=st.binary(max_size=200), key_type=st.sampled_from(sorted(KEYS)))
def test_a_signature_holds_for_its_own_statement_only(signed: bytes, expected: bytes, key_type: str) -> None:
    line = sign(signed, KEYS[key_type]) + b"\n"
    if signed == expected:
        assert verified_signers(line, expected)
    else:
        with pytest.raises(ExpertKitError):
            verified_signers(line, expected)


@given(line=st.binary(max_size=400))
def test_arbitrary_bytes_give_a_typed_error(line: bytes) -> None:
    with pytest.raises(ExpertKitError):
        verify_line(line, b"", {})


@given(scope=st.text(max_size=20))
def test_a_policy_takes_no_scope_but_a_name_or_a_namespace(scope: str) -> None:
    plain = set(scope) <= set("abcdefghijklmnopqrstuvwxyz0123456789-/*")
    try:
        Policy(scope=scope)
    except ValueError:
        return
    assert scope == "" or (plain and scope.count("/") == 1)
