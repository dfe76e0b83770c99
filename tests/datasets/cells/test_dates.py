"""Spellings of dates, one by one, and which spelling a column uses."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from xrfm_cli.datasets.cells.dates import DateFormat, moment_values, parse_moments
from xrfm_cli.datasets.schema.date_guesses import guess_format
from xrfm_cli.datasets.schema.kinds import decide_kind

READABLE: list[tuple[DateFormat, str, str]] = [
    ("iso", "2014-10-13", "2014-10-13T00:00:00"),
    ("iso", "2014/10/13", "2014-10-13T00:00:00"),
    ("iso", "2014.10.13", "2014-10-13T00:00:00"),
    ("iso", "2014-1-3", "2014-01-03T00:00:00"),
    ("iso", "2014-10", "2014-10-01T00:00:00"),
    ("iso", "20141013", "2014-10-13T00:00:00"),
    ("iso", "20141013T093015", "2014-10-13T09:30:15"),
    ("iso", "2014-10-13 09:30", "2014-10-13T09:30:00"),
    ("iso", "2014-10-13T09:30:15", "2014-10-13T09:30:15"),
    ("iso", "2014-10-13 09:30:15.25", "2014-10-13T09:30:15.25"),
    ("iso", "2014-10-13 09:30:15,123456789", "2014-10-13T09:30:15.123456"),
    ("iso", "2014-10-13T09:30:00Z", "2014-10-13T09:30:00"),
    ("iso", "2014-10-13T09:30:00+02:00", "2014-10-13T07:30:00"),
    ("iso", "2014-10-13 09:30:00-0530", "2014-10-13T15:00:00"),
    ("iso", "2014-10-13T09:30+02:00[Europe/Berlin]", "2014-10-13T07:30:00"),
    ("iso", "2014-10-13T09:30:00Z[UTC]", "2014-10-13T09:30:00"),
    ("iso", "2014-10-13 09:30 PM", "2014-10-13T21:30:00"),
    ("iso", "1899-12-31 23:59:59", "1899-12-31T23:59:59"),
    ("iso", "2016-02-29", "2016-02-29T00:00:00"),
    ("iso", "2014Q4", "2014-10-01T00:00:00"),
    ("iso", "2014-Q1", "2014-01-01T00:00:00"),
    ("iso", "Q3 2014", "2014-07-01T00:00:00"),
    ("iso", "2014M10", "2014-10-01T00:00:00"),
    ("iso", "2014-W42", "2014-10-13T00:00:00"),
    ("iso", "2020W53", "2020-12-28T00:00:00"),
    ("iso", "2025-W01", "2024-12-30T00:00:00"),
    ("iso", "2014-10-13/2014-10-19", "2014-10-13T00:00:00"),
    ("day first", "13.10.2014", "2014-10-13T00:00:00"),
    ("day first", "02-10-2012 09:00", "2012-10-02T09:00:00"),
    ("day first", "2/1/99", "1999-01-02T00:00:00"),
    ("day first", "2/1/14 12:05 am", "2014-01-02T00:05:00"),
    ("month first", "10/13/2014", "2014-10-13T00:00:00"),
    ("month first", "1/2/2014 12:00 PM", "2014-01-02T12:00:00"),
    ("month name", "13 Oct 2014", "2014-10-13T00:00:00"),
    ("month name", "13-Oct-14", "2014-10-13T00:00:00"),
    ("month name", "October 13, 2014", "2014-10-13T00:00:00"),
    ("month name", "Oct 13 2014 1:05 PM", "2014-10-13T13:05:00"),
    ("month name", "Mon, 13 Oct 2014 09:30:00 GMT", "2014-10-13T09:30:00"),
    ("month name", "Sept 1st, 2014", "2014-09-01T00:00:00"),
    ("month name", "Oct 2014", "2014-10-01T00:00:00"),
    ("time", "09:30", "1970-01-01T09:30:00"),
    ("time", "9:30:15 pm", "1970-01-01T21:30:15"),
    ("digits", "20141013", "2014-10-13T00:00:00"),
    ("epoch s", "1413192600", "2014-10-13T09:30:00"),
    ("epoch ms", "1413192600000", "2014-10-13T09:30:00"),
]


@pytest.mark.parametrize(("date_format", "text", "expected"), READABLE)
def test_readable_dates(date_format: DateFormat, text: str, expected: str) -> None:
    moments = parse_moments(pa.array([text]), date_format)
    assert moments.valid.all()
    assert moments.values.astype("datetime64[us]")[0] == np.datetime64(expected, "us")


@pytest.mark.parametrize(
    ("date_format", "text"),
    [
        ("iso", "2014-13-01"),
        ("iso", "2015-02-29"),
        ("iso", "2014-10-13 25:00"),
        ("iso", "2014-10-13 09:61"),
        ("iso", "yesterday"),
        ("iso", "2014-10-13T09:30[Europe/Berlin]"),  # the offset is not known
        ("iso", "2014Q5"),
        ("iso", "1214Q1"),
        ("iso", "2014M13"),
        ("iso", "2021-W53"),
        ("iso", "2021-W00"),
        ("iso", "2014-10-13x"),
        ("iso", "2014-10-13 13:00 pm"),
        ("day first", "31.04.2014"),
        ("day first", "1.13.2014"),
        ("month first", "13/13/2014"),
        ("month name", "13 Foo 2014"),
        ("month name", "13 Market 2014"),
        ("time", "24:00"),
        ("digits", "20141301"),
        ("epoch s", "1e30"),
    ],
)
def test_unreadable_dates(date_format: DateFormat, text: str) -> None:
    moments = parse_moments(pa.array([text, None]), date_format)
    assert moments.valid.tolist() == [False, False]
    assert moments.unreadable.tolist() == [True, False]


@pytest.mark.parametrize(
    ("cells", "date_format", "evidence"),
    [
        (["2014-10-13", "2014-10-14"], "iso", ""),
        (["2014Q4", "2015Q1"], "iso", ""),
        (["13.10.2014", "02.10.2014"], "day first", "goes up to 13"),
        (["10/13/2014", "10/02/2014"], "month first", "the second number exceeds 12"),
        (
            ["01/02/2014", "05/02/2014", "03/03/2014", "04/03/2014", "01/04/2014", "02/04/2014"],
            "day first",
            "the rows are then in order",
        ),
        (["31-12-98", "01-02-99"], "day first", "goes up to 31"),
        (["13 Oct 2014", "2 Nov 2014"], "month name", ""),
        (["09:30", "10:45"], "time", ""),
        (["05/05/2023", "06/06/2023"], "any order", "the same in every order"),
        (["05.05.05", "06.06.06"], "any order", "the same in every order"),
        ([f"01/01/{year}" for year in range(2000, 2020)], "any order", "the same in every order"),
        ([*(f"2023-01-{day:02}" for day in range(10, 31)), "2023-02-30"], "iso", ""),
        ([*(f"{day}.01.2023" for day in range(10, 31)), "30.02.2023"], "day first", "goes up to 30"),
        ([*(f"01/{day}/2023" for day in range(10, 31)), "02/30/2023"], "month first", "exceeds 12"),
        ([*(f"{hour}:30" for hour in range(24)), "24:61"], "time", ""),
        ([*(f"{day} Jan 2023" for day in range(1, 32)), "30 Feb 2023"], "month name", ""),
        (["x", *(f"2{year:03}-01-01" for year in range(200))], "iso", ""),  # the place does not matter
    ],
)
def test_found_format(cells: list[str], date_format: str, evidence: str) -> None:
    guess = guess_format(pa.array(cells))
    assert guess is not None
    assert guess.date_format == date_format
    assert evidence in guess.evidence


@pytest.mark.parametrize(
    "cells",
    [
        ["a", "b"],
        ["13.10.2014", "10.13.2014"],
        ["2014-10-13", "13 Oct 2014"],
        ["1.2", "1.3"],
        ["1-2", "3-4"],
        [*(f"{day}.01.2023" for day in range(10, 31)), "01.30.2023"],  # it exists, in another order
        [*(f"{day}.01.2023" for day in range(10, 31)), "soon"],
        ["2023-01-01", "2023-02-30"],
        [None],
    ],
)
def test_no_format(cells: list[str | None]) -> None:
    assert guess_format(pa.array(cells, pa.string())) is None


STAMP = dt.datetime(1969, 12, 31, 23, 59, 59, 500_000)


@pytest.mark.parametrize(
    "typed",
    [
        pa.array([STAMP], pa.timestamp("us")),
        pa.array([STAMP], pa.timestamp("ns")),
        pa.array([STAMP], pa.timestamp("ms")),
        pa.array([STAMP], pa.timestamp("ns", "UTC")),
        pa.array([STAMP], pa.timestamp("us")).dictionary_encode(),
    ],
)
def test_typed_moments(typed: pa.Array) -> None:
    moments = moment_values(typed, "iso")
    assert moments.values.tolist() == [-500_000]
    assert moments.valid.all()


def test_zones_are_read_as_utc_from_text_and_from_types() -> None:
    typed = pa.array([dt.datetime(2014, 7, 1, 12, tzinfo=dt.UTC)], pa.timestamp("us", "Europe/Vienna"))
    texts = pa.array(["2014-07-01 14:00:00+02:00"])
    assert moment_values(typed, "iso").values.tolist() == moment_values(texts, "iso").values.tolist()


def test_a_date_means_the_same_beside_any_other_cell() -> None:
    """The fast reader of whole columns and the patterns agree."""
    alone = [
        "2014-10-13",
        "2014-10-13 09:30",
        "2014-10-13T09:30:15.5",
        "1960-02-29 00:00:01",
        "2014-10-13 09",
    ]
    fast = moment_values(pa.array(alone), "iso")
    slow = moment_values(pa.array([*alone, "2014/10/13 1:30 pm"]), "iso")
    assert fast.values.tolist() == slow.values.tolist()[:-1]
    assert slow.valid.all()


@pytest.mark.parametrize(
    ("cells", "doubt"),
    [
        (["02/01/2014", "01/02/2014"], "has '02/01/2014', which may be 2014-01-02 or 2014-02-01"),
        (["02.01.14"], "may be 2014-01-02, 2014-02-01 or 2002-01-14"),
        (["25.01.14", "26.01.14"], "may be 2014-01-25 or 2025-01-14"),
        (["01/01/2024", "01/06/2024"], "has '01/06/2024', which may be 2024-06-01 or 2024-01-06"),
        (["05.05.05", "01.01.05", "02.02.05"], "has '01.01.05', which may be 2005-01-01 or 2001-01-05"),
    ],
)
def test_dates_of_several_meanings_are_in_doubt(cells: list[str], doubt: str) -> None:
    guess = guess_format(pa.array(cells))
    assert guess is not None
    assert doubt in guess.doubt


@pytest.mark.parametrize(
    ("order", "day"), [("dmy", "2014-01-02"), ("mdy", "2014-02-01"), ("ymd", "2002-01-14")]
)
def test_a_given_order_settles_them(order: Any, day: str) -> None:
    guess = guess_format(pa.array(["02.01.14"]), order)
    assert guess is not None
    moments = parse_moments(pa.array(["02.01.14"]), guess.date_format)
    assert str(moments.values.astype("datetime64[us]")[0])[:10] == day


def test_in_any_order_only_dates_of_one_meaning_are_read() -> None:
    cells = pa.array(["05/05/2023", "13/05/2023", "05/13/2023", "05/06/2023", "30/02/2023"])
    moments = moment_values(cells, "any order")
    days = moments.values.astype("datetime64[us]").astype("datetime64[D]").astype(str)
    assert days[:3].tolist() == ["2023-05-05", "2023-05-13", "2023-05-13"]
    assert moments.unreadable.tolist() == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("date_format", "cell", "iso"),
    [
        ("month name", "Sun Jan  5 10:00:00 2014", "2014-01-05T10:00:00"),  # as C writes it
        ("month name", "05/Jan/2014:10:00:00 +0100", "2014-01-05T09:00:00"),  # as web servers write it
        ("iso", "2014-01-31 24:00:00", "2014-02-01T00:00:00"),
        ("time", "3:05\u202fPM", "1970-01-01T15:05:00"),  # as newer Java and JavaScript write it
        ("time", "3:05 p.\u00a0m.", "1970-01-01T15:05:00"),
        ("month first", "1/2/2014, 3:05:06\u202fPM", "2014-01-02T15:05:06"),
        ("month first", "\u200e1/\u200e2/\u200e2014", "2014-01-02T00:00:00"),  # as older Windows wrote it
        ("iso", "2014-01-02\u00a003:05", "2014-01-02T03:05:00"),
        ("iso", "２０１４-０１-０２", "2014-01-02T00:00:00"),
        ("month name", "2\u00a0Jan\u00a02014", "2014-01-02T00:00:00"),
    ],
)
def test_rarer_spellings(date_format: DateFormat, cell: str, iso: str) -> None:
    moments = parse_moments(pa.array([cell]), date_format)
    assert str(moments.values.astype("datetime64[us]")[0]).removesuffix(".000000") == iso
    assert guess_format(pa.array([cell])) is not None


@pytest.mark.parametrize("spelling", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d"])
def test_a_date_that_does_not_exist_is_counted_with_its_row(spelling: str) -> None:
    days = [(dt.date(2022, 1, 1) + dt.timedelta(37 * step % 700)).strftime(spelling) for step in range(30)]
    odd = spelling.replace("%Y", "2023").replace("%m", "02").replace("%d", "30")
    decision = decide_kind("day", pa.array([*days, odd]))
    assert decision.kind == "datetime"
    assert f"the unreadable cell '{odd}' in row 31 counts as missing" in decision.reason
