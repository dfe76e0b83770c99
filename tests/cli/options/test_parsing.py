"""Parsing of option values; errors repeat the text."""

from __future__ import annotations

import pytest

from xrfm_cli.errors import OptionError
from xrfm_cli.options import parsing
from xrfm_cli.options.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("10m", 600),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (".5", 0.5),
        ("1d", 86400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "10x", "m", "10m5", "1h 30", "inf", "nan", "ten"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 << 30), ("4G", 4 << 30), ("500MB", 500_000_000), ("1024", 1024), ("1.5KiB", 1536), ("7b", 7)],
)
def test_sizes(text: str, size: int) -> None:
    assert parsing.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "0", "-1", "4 potatoes", "1e9x"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="size"):
        parsing.parse_size(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("leaf_size=4000", 4000),
        ("ridge=1e-3", 1e-3),
        ("kernel=norm", "norm"),
        ("flag=true", True),
        ("name=a=b", "a=b"),
        (" ridge = 2.0 ", 2.0),
        ("bandwidth=inf", "inf"),
    ],
)
def test_pins_are_typed_by_their_looks(text: str, value: object) -> None:
    name, found = parsing.parse_pin(text)
    assert name == text.partition("=")[0].strip()
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", ["kernel", "=norm", "kernel=", ""])
def test_a_pin_needs_a_name_and_a_value(text: str) -> None:
    with pytest.raises(OptionError, match="NAME=VALUE"):
        parsing.parse_pin(text)


@pytest.mark.parametrize("text", ["r2", "r2=", "=0.8", "r2=good", "r2=nan"])
def test_a_threshold_needs_a_metric_and_a_number(text: str) -> None:
    with pytest.raises(OptionError, match="METRIC=NUMBER"):
        parsing.parse_threshold(text)


@pytest.mark.parametrize("text", ["0", "1", "90", "-0.1", "much"])
def test_a_level_lies_between_0_and_1(text: str) -> None:
    with pytest.raises(OptionError, match=r"0\.9"):
        parsing.fraction("a level", example=0.9)(text)


def test_a_choice_names_the_nearest() -> None:
    with pytest.raises(OptionError, match="Did you mean 'quick'"):
        parsing.one_of("quick", "best")("quikc")


@pytest.mark.parametrize("text", ["1.5", "-1", "many", ""])
def test_whole_numbers(text: str) -> None:
    with pytest.raises(OptionError, match="whole number of at least 0"):
        parsing.whole_number(least=0)(text)


def test_delimiters() -> None:
    assert parsing.parse_character("tab") == "\t"
    with pytest.raises(OptionError, match="one character"):
        parsing.parse_character(";;")
