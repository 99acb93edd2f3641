"""The whole job: which data it trains on, which it measures on, and what it reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hashrec import workflow
from hashrec.artifact import open_model
from hashrec.csr import Csr
from hashrec.encoders import Mf, Spectral
from hashrec.errors import DataError, ModelError, OutputError, UsageError
from hashrec.interactions import Interactions, LastOut, Parts, UserSplit, planted
from hashrec.learning import Table, Training
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender, load
from hashrec.workflow import Job, run, union

LOG = planted(70, 40, communities=4, degree=12, noise=0.1, seed=8).interactions
REST, TEST = LOG.split(UserSplit(test=0.25, seed=0))
TRAIN, VALID = REST.split(UserSplit(test=0.25, seed=0))
RECIPE = Recipe(encoder=Spectral(dim=16))


def job(out: Path, **options: Any) -> Job:
    return Job(RECIPE, out, **options)


class Notes:
    """A listener that remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, steps: int = 1) -> None: ...

    def note(self, line: str) -> None:
        self.lines.append(line)


def same(one: Recommender, other: Recommender) -> bool:
    return bool(one.recommend(k=5).equals(other.recommend(k=5)))


def test_a_given_test_part_is_measured_on_and_never_trained_on(tmp_path: Path) -> None:
    outcome = run(Parts(TRAIN, None, TEST), job(tmp_path / "m", ks=(5, 20)))
    alone = Recommender(RECIPE).fit(TRAIN)
    assert same(outcome.model, alone)
    assert outcome.model.fitted.facts["fingerprint"] == TRAIN.fingerprint()
    measured = alone.evaluate(TEST, (5, 20)).metrics
    assert {key: outcome.result[key] for key in measured} == measured
    assert outcome.result["held_out"] is False
    assert "refitted" not in outcome.result


def test_the_valid_part_is_trained_on_too(tmp_path: Path) -> None:
    outcome = run(Parts(TRAIN, VALID, TEST), job(tmp_path / "m"))
    assert same(outcome.model, Recommender(RECIPE).fit(REST))
    assert outcome.model.fitted.seen.indices.tolist() == REST.matrix.indices.tolist()


def test_without_a_test_part_a_fifth_is_held_out_and_all_is_fitted_again(tmp_path: Path) -> None:
    notes = Notes()
    outcome = run(Parts(LOG), job(tmp_path / "m"), progress=notes)
    train, test = LOG.split(RECIPE.holdout)
    expected = Recommender(RECIPE).fit(train).evaluate(test, (20,)).metrics
    assert {key: outcome.result[key] for key in expected} == expected
    assert (outcome.result["held_out"], outcome.result["refitted"]) == (True, True)
    assert same(outcome.model, Recommender(RECIPE).fit(LOG))
    assert notes.lines == ["fitting again on everything, for the model that is written"]


def test_what_is_held_out_comes_from_train_alone_and_valid_is_trained_on(tmp_path: Path) -> None:
    """Bug: a valid part without a test part was dropped, from the model that is written too."""
    outcome = run(Parts(TRAIN, VALID), job(tmp_path / "m"))
    rest, test = TRAIN.split(RECIPE.holdout)
    expected = Recommender(RECIPE).fit(union(rest, VALID)).evaluate(test, (20,)).metrics
    assert {key: outcome.result[key] for key in expected} == expected
    assert same(outcome.model, Recommender(RECIPE).fit(REST))
    assert outcome.model.fitted.seen.indices.tolist() == REST.matrix.indices.tolist()


def test_no_refit_keeps_the_model_that_was_measured(tmp_path: Path) -> None:
    outcome = run(Parts(LOG), job(tmp_path / "m", refit=False))
    train, _ = LOG.split(RECIPE.holdout)
    assert same(outcome.model, Recommender(RECIPE).fit(train))
    assert outcome.result["held_out"] is True
    assert "refitted" not in outcome.result


def test_nothing_is_measured_on_request(tmp_path: Path) -> None:
    for parts, everything in ((Parts(LOG), LOG), (Parts(TRAIN, None, TEST), TRAIN)):
        outcome = run(parts, job(tmp_path / "m", measure=False))
        assert not [key for key in outcome.result if "@" in key]
        assert "full_precision" not in outcome.result
        assert same(outcome.model, Recommender(RECIPE).fit(everything))


def test_full_precision_is_measured_on_the_same_vectors(tmp_path: Path) -> None:
    outcome = run(Parts(TRAIN, None, TEST), job(tmp_path / "m"))
    floats = Recommender(RECIPE.full_precision()).fit(TRAIN)
    expected = floats.evaluate(TEST, (20,)).metrics
    assert outcome.result["full_precision"] == {**expected, "bytes_per_item": 16 * 4}
    assert outcome.result["bytes_per_item"] == 16 / 8 + 4
    assert outcome.result["recall@20"] != outcome.result["full_precision"]["recall@20"]


def test_the_result_has_the_fixed_keys(tmp_path: Path) -> None:
    result = run(Parts(LOG), job(tmp_path / "m", ks=(5, 10)), read_seconds=1.5).result
    for k in (5, 10):
        assert {f"recall@{k}", f"ndcg@{k}", f"precision@{k}", f"tie_rate@{k}"} <= set(result)
    assert {
        "users_evaluated", "protocol", "bytes_per_item", "bytes_per_user", "table_rows",
        "table_bytes", "seconds", "peak_rss_mb",
    } <= set(result)  # fmt: skip
    assert list(result["seconds"]) == ["read", "split", "encode", "code", "evaluate", "write"]
    assert result["seconds"]["read"] == 1.5
    assert (result["table_rows"], result["table_bytes"]) == (0, 0)
    assert result["model_bytes"] == sum(path.stat().st_size for path in (tmp_path / "m").iterdir())
    assert result["files"] == {
        path.name: path.stat().st_size for path in (tmp_path / "m").iterdir()
    }


def test_the_metrics_of_the_fit_are_kept_in_the_model(tmp_path: Path) -> None:
    outcome = run(Parts(LOG), job(tmp_path / "m"))
    facts = open_model(tmp_path / "m", verify=True).header["facts"]
    assert facts["metrics"]["recall@20"] == outcome.result["recall@20"]
    assert facts["metrics"]["full_precision"] == outcome.result["full_precision"]
    assert facts["data"]["interactions"] == LOG.n_interactions
    assert same(load(tmp_path / "m"), outcome.model)


def test_the_protocol_and_the_cuts_are_those_of_the_job(tmp_path: Path) -> None:
    result = run(Parts(TRAIN, None, TEST), job(tmp_path / "m", ks=(3,), protocol="hashlgn")).result
    expected = Recommender(RECIPE).fit(TRAIN).evaluate(TEST, (3,), protocol="hashlgn")
    assert result["protocol"] == "hashlgn"
    assert {key: result[key] for key in expected.metrics} == expected.metrics


def only(log: Interactions, entries: int) -> Interactions:
    """The first few entries of a log."""
    keep = np.arange(log.n_interactions) < entries
    rows, columns = log.matrix.row_of_entry[keep], log.matrix.indices[keep]
    return log.with_matrix(Csr.from_pairs(rows, columns, n_rows=log.n_users, n_columns=log.n_items))


def test_too_little_to_hold_anything_out_is_refused(tmp_path: Path) -> None:
    words = "nothing could be held out.*got 1 interactions of 70 users.*--test, or .*--no-evaluate"
    with pytest.raises(DataError, match=words):
        run(Parts(only(LOG, 1)), job(tmp_path / "m"))
    assert not (tmp_path / "m").exists()
    run(Parts(only(LOG, 1)), job(tmp_path / "m", measure=False))
    assert load(tmp_path / "m").recommend(k=2).num_rows == 2 * LOG.n_users


def test_a_split_that_needs_times_says_so(tmp_path: Path) -> None:
    recipe = Recipe(encoder=Spectral(dim=8), holdout=LastOut())
    with pytest.raises(DataError, match="needs times and this log has none"):
        run(Parts(LOG), Job(recipe, tmp_path / "m"))


@pytest.mark.parametrize("wrong", ["target", "protocol"])
def test_what_would_fail_at_the_end_is_refused_before_any_work(
    tmp_path: Path, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bug: an unknown protocol was found out only after the fit."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("work was done")

    monkeypatch.setattr(Recommender, "encode", refuse)
    if wrong == "target":
        (tmp_path / "m").touch()
        with pytest.raises(OutputError, match="something that is no model stands there"):
            run(Parts(LOG), job(tmp_path / "m"))
    else:
        with pytest.raises(UsageError, match="unknown protocol 'lightgnc'.*Did you mean lightgcn"):
            run(Parts(LOG), job(tmp_path / "m", protocol="lightgnc"))


def test_test_interactions_that_train_holds_are_counted_and_told(tmp_path: Path) -> None:
    """Nothing can hit them, so a zero for all must not stand there without a word."""
    notes: list[str] = []

    class Listener:
        def start(self, stage: str, total: int) -> None: ...

        def advance(self, steps: int = 1) -> None: ...

        def note(self, line: str) -> None:
            notes.append(line)

    log = planted(40, 30, communities=3, degree=8, noise=0.1, seed=0).interactions
    job = Job(Recipe(encoder=Spectral(dim=8)), tmp_path / "model")
    result = run(Parts(log, test=log), job, progress=Listener()).result
    assert result["repeated_test_interactions"] == log.n_interactions
    assert result["recall@20"] == 0
    assert any("are in train too" in note for note in notes)


# --- encoders that train -----------------------------------------------------------------------

LEARNED = Recipe(
    encoder=Mf(dim=8),
    table=Table(method="modulo", rows=0.5),
    training=Training(epochs=6, every=2, patience=1),
)


class Told:
    """A listener that remembers the events of training."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def __call__(self, event: Any) -> None:
        self.events.append(dict(event))

    def epochs(self, stage: str, part: str) -> list[int]:
        return [
            event["epoch"]
            for event in self.events
            if (event["stage"], event["part"], event["event"]) == (stage, part, "epoch")
        ]


def test_the_second_fit_runs_the_epochs_that_the_first_chose(tmp_path: Path) -> None:
    told = Told()
    outcome = run(Parts(LOG), Job(LEARNED, tmp_path / "m", listeners=(told,)))
    evaluations = [event for event in told.events if event["event"] == "evaluation"]
    assert {(event["stage"], event["part"]) for event in evaluations} == {("fit", "choose")}
    best = max(evaluations, key=lambda event: event["recall@20"])["epoch"]
    assert told.epochs("fit", "all") == list(range(1, best + 1))
    assert told.epochs("everything", "all") == list(range(1, best + 1))
    assert not told.epochs("everything", "choose")
    assert outcome.model.fitted.facts["encoder"]["epochs"] == best
    alone = Recommender(LEARNED).fit(LOG, epochs=best)
    assert same(outcome.model, alone)


def test_without_a_part_to_measure_on_there_is_one_fit(tmp_path: Path) -> None:
    told = Told()
    run(Parts(LOG), Job(LEARNED, tmp_path / "m", measure=False, listeners=(told,)))
    assert {event["stage"] for event in told.events} == {"fit"}
    assert same(load(tmp_path / "m"), Recommender(LEARNED).fit(LOG))


@pytest.mark.parametrize("test", [None, TEST], ids=["held out", "given"])
def test_epochs_are_chosen_on_the_valid_part(tmp_path: Path, test: Interactions | None) -> None:
    """While they are chosen, what is left is train (without what was held out) and no more."""
    told = Told()
    recipe = LEARNED.model_copy(update={"training": Training(epochs=4, every=1, patience=4)})
    outcome = run(Parts(TRAIN, VALID, test), Job(recipe, tmp_path / "m", listeners=(told,)))
    rest = TRAIN if test is not None else TRAIN.split(recipe.holdout)[0]
    starts = {
        (event["stage"], event["part"]): event["interactions"]
        for event in told.events
        if event["event"] == "start"
    }
    expected = {
        ("fit", "choose"): rest.n_interactions,
        ("fit", "all"): rest.n_interactions + VALID.n_interactions,
        ("everything", "all"): REST.n_interactions,
    }
    if test is not None:
        del expected["everything", "all"]
    assert starts == expected
    alone = Recommender(recipe).encode(union(rest, VALID), valid=VALID)
    history = [event["recall@20"] for event in told.events if event["event"] == "evaluation"]
    assert history == [entry["recall@20"] for entry in alone.facts["history"]]
    assert outcome.model.fitted.facts["encoder"]["epochs"] == alone.facts["epochs"]


def test_the_sizes_of_the_tables_are_those_of_the_model_written(tmp_path: Path) -> None:
    """Half of 110 ids: 55 rows of 8 numbers, and 4 bytes an id to find its row."""
    result = run(Parts(LOG), Job(LEARNED, tmp_path / "m")).result
    assert result["table_rows"] == 55
    assert result["table_bytes"] == 4 * (55 * 8 + 110)
    assert load(tmp_path / "m").fitted.sizes()["table_rows"] == 55


def test_the_folder_of_training_is_beside_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Job(LEARNED, tmp_path / "a" / "m").folder == tmp_path / "a" / "m.training"
    assert Job(LEARNED, Path("m.v2")).folder == Path("m.v2.training")
    assert Job(LEARNED, Path(".")).folder == tmp_path.with_name(tmp_path.name + ".training")
    assert job(tmp_path / "m").folder is None


def test_checkpoints_are_kept_until_the_model_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at the very end must not cost the training; another attempt goes on from it."""

    def full(*arguments: object) -> None:
        raise OutputError("the model could not be written")

    with monkeypatch.context() as patch:
        patch.setattr(Recommender, "save", full)
        with pytest.raises(OutputError, match="could not be written"):
            run(Parts(LOG), Job(LEARNED, tmp_path / "m"))
    kept = tmp_path / "m.training" / "fit-choose.safetensors"
    assert kept.is_file()
    notes = Notes()
    outcome = run(Parts(LOG), Job(LEARNED, tmp_path / "m"), progress=notes)
    assert any("going on after epoch" in line for line in notes.lines)
    assert [path.name for path in (tmp_path / "m.training").iterdir()] == ["journal.jsonl"]
    again = run(Parts(LOG), Job(LEARNED, tmp_path / "n"))
    assert same(outcome.model, again.model)


def test_fresh_takes_away_checkpoints_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "m.training"
    folder.mkdir()
    for name in ("fit-choose.safetensors", "notes.txt"):
        (folder / name).write_text("not ours")
    with pytest.raises(ModelError, match="cannot go on from this file.*--fresh"):
        run(Parts(LOG), Job(LEARNED, tmp_path / "m"))
    run(Parts(LOG), Job(LEARNED, tmp_path / "m", fresh=True))
    assert sorted(path.name for path in folder.iterdir()) == ["journal.jsonl", "notes.txt"]


def test_only_checkpoints_are_removed_and_all_of_them(tmp_path: Path) -> None:
    """Bug: whatever ended in .safetensors was deleted, whosever it was."""
    folder = tmp_path / "m.training"
    folder.mkdir()
    stages, parts = ("fit", "everything"), ("choose", "all", "codes")
    ours = [f"{stage}-{part}.safetensors" for stage in stages for part in parts]
    theirs = ["weights.safetensors", ".weights.safetensors.writing", "tune-all.safetensors"]
    for name in [*ours, *(f".{name}.writing" for name in ours), *theirs]:
        (folder / name).write_text("")
    run(Parts(LOG), Job(LEARNED, tmp_path / "m", fresh=True))
    assert {path.name for path in folder.iterdir()} == {"journal.jsonl", *theirs}


def test_a_file_in_place_of_the_folder_of_training_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bug: it was found out after the split, with a bare message of the system."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("data were prepared")

    monkeypatch.setattr(workflow, "_parts", refuse)
    (tmp_path / "m.training").touch()
    words = "m.training: checkpoints and the journal of training are kept there; expected a folder"
    with pytest.raises(OutputError, match=words):
        run(Parts(LOG), Job(LEARNED, tmp_path / "m"))
    with pytest.raises(AssertionError, match="data were prepared"):  # who keeps nothing, may
        run(Parts(LOG), job(tmp_path / "m"))
