from __future__ import annotations

from collections.abc import Iterator

from expert_kit.cli.exits import EXIT_CODES, INTERRUPTED, OK, OUTPUT_CLOSED
from expert_kit.errors import ExpertKitError


def classes(root: type[ExpertKitError]) -> Iterator[type[ExpertKitError]]:
    yield root
    for child in root.__subclasses__():
        yield from classes(child)


def test_every_error_class_has_a_row_and_every_row_a_class():
    assert set(EXIT_CODES) == set(classes(ExpertKitError))


def test_only_the_root_has_the_exit_code_of_a_bug():
    assert [error for error, code in EXIT_CODES.items() if code == 1] == [ExpertKitError]


def test_no_error_ends_like_success_an_interrupt_or_a_closed_pipe():
    assert not {OK, INTERRUPTED, OUTPUT_CLOSED} & set(EXIT_CODES.values())


def test_codes_of_classes_are_distinct():
    codes = [error.code for error in EXIT_CODES]
    assert len(set(codes)) == len(codes)
