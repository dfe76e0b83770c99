"""Studies that several fits share through a storage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages.journal import JournalFileBackend

from tests.tuning.tables import answers, fit, law, one_line, same_bits, scores, table_of
from xrfm_cli.errors import OptionError
from xrfm_cli.events import Event
from xrfm_cli.tuning import FittedModel
from xrfm_cli.tuning.search.sampler import StudyPlace

DATA = law(80)


def shared_fit(storage: object, *, facts: str = "law", **options: Any) -> tuple[FittedModel, list[Event]]:
    """A fit on the law whose study is shared, and what it told."""
    events: list[Event] = []
    place = StudyPlace(storage=str(storage), facts=facts)
    chosen: dict[str, Any] = {"folds": 2, "pinned": {"iterations": 0}} | options
    return fit(DATA, place=place, on_event=events.append, **chosen), events


def told(events: list[Event], text: str) -> list[str]:
    """Messages that have the text."""
    return [event.message for event in events if text in event.message]


@pytest.fixture(params=["tuning.journal", "sqlite:///{folder}/tuning.db"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A journal file and a database."""
    text = str(request.param)
    return text.format(folder=tmp_path) if "://" in text else str(tmp_path / text)


@pytest.mark.slow
def test_a_second_fit_goes_on_where_the_first_ended(storage: str) -> None:
    first, events = shared_fit(storage, trials=6)
    assert told(events, "began it")
    assert not told(events, "evaluated here too")
    second, events = shared_fit(storage, trials=2)
    assert told(events, "joined it at ")
    own = {trial["number"] for trial in second.report.trials}
    number, best = min(scores(first).items(), key=lambda item: item[1])
    if number in own:  # it was better than the two that were drawn here
        both = [t for model in (first, second) for t in model.report.trials if t["number"] == number]
        assert both[0]["score"] == both[1]["score"]
        assert both[0]["params"] == both[1]["params"]
    begun = own - {trial["number"] for trial in first.report.trials}
    assert len(begun) == 2
    assert min(scores(second).values()) <= best


@pytest.mark.slow
def test_every_trial_has_a_number_of_its_own(storage: str) -> None:
    for _ in range(3):
        shared_fit(storage, trials=2)
    backend = (
        optuna.storages.RDBStorage(storage)
        if "://" in storage
        else optuna.storages.JournalStorage(JournalFileBackend(storage))
    )
    (name,) = optuna.get_all_study_names(backend)
    study = optuna.load_study(study_name=name, storage=backend)
    ended = [t for t in study.trials if t.state != optuna.trial.TrialState.WAITING]
    assert len(ended) == 6
    drawn = [tuple(sorted(trial.params.items())) for trial in ended]
    assert len(set(drawn)) == len(drawn)


def test_other_facts_are_another_study(tmp_path: Path) -> None:
    for facts in ("one table", "another table"):
        _, events = shared_fit(tmp_path / "tuning.journal", facts=facts, trials=1)
        assert told(events, "began it")


def test_alone_in_a_storage_the_first_trial_is_as_without_one(tmp_path: Path) -> None:
    alone = fit(DATA, trials=0, folds=2)
    shared, _ = shared_fit(tmp_path / "tuning.journal", trials=0, pinned={})
    rows = table_of(law(20, seed=1))
    assert same_bits(answers(alone, rows), answers(shared, rows))


def test_a_lost_storage_is_left_and_the_search_ends_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, calls = JournalFileBackend.append_logs, iter(range(10_000))

    def fails_later(self: JournalFileBackend, logs: Any) -> None:
        if next(calls) > 60:
            raise OSError("No space left on device")
        append(self, logs)

    monkeypatch.setattr(JournalFileBackend, "append_logs", fails_later)
    model, events = shared_fit(tmp_path / "tuning.journal", trials=12)
    (message,) = told(events, "can no longer be reached")
    assert "No space left on device" in message
    assert [f["message"] for f in model.report.fallbacks if "no longer" in f["message"]] == [message]
    numbers = [trial["number"] for trial in model.report.trials]
    assert len(numbers) == 12
    assert len(set(numbers)) == 12


@pytest.mark.parametrize(
    "storage",
    [
        "nosuch://host/db",
        "sqlite:////no/such/folder/tuning.db",
        "no/such/folder/tuning.journal",
        "postgresql://ann:secret@127.0.0.1:1/db",
        "{folder}",
        "{folder}/table.csv",
        "sqlite:///{folder}/table.csv",
    ],
)
def test_a_storage_that_cannot_be_opened_is_refused(storage: str, tmp_path: Path) -> None:
    text = "a,b\n" + "1,2\n" * 100
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(OptionError) as caught:
        shared_fit(storage.format(folder=tmp_path), trials=1)
    message = one_line(caught.value)
    assert message.startswith("--storage ")
    assert "secret" not in message
    assert (tmp_path / "table.csv").read_text() == text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["table.csv"]
