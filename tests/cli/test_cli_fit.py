"""`hashrec fit` and `evaluate`: what they measure, print and write."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import LOG, SMALL, TEST, TRAIN, Run, pairs, write_csv

from hashrec.recommender import load

FIXED = {
    "recall@20", "ndcg@20", "precision@20", "tie_rate@20", "users_evaluated", "protocol",
    "bytes_per_item", "bytes_per_user", "table_rows", "table_bytes", "seconds", "peak_rss_mb",
}  # fmt: skip

# A process in which torch cannot be imported, whatever is installed.
NO_TORCH = """
import sys
sys.modules["torch"] = None
from hashrec.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def train_of(model: Path) -> int:
    return len(load(model).fitted.seen.indices)


def test_a_folder_with_a_test_part(hashrec: Run, parts: Path, tmp_path: Path) -> None:
    done = hashrec("fit", parts, "--out", tmp_path / "m", "--json", *SMALL)
    assert done.code == 0
    result = done.json
    assert set(result) >= FIXED
    assert result["held_out"] is False
    assert result["full_precision"]["bytes_per_item"] == 64
    assert (result["bytes_per_item"], result["bytes_per_user"]) == (6, 0)
    assert train_of(tmp_path / "m") == TRAIN.n_interactions
    assert f"{TRAIN.n_interactions:,} rows; columns: user 'user', item 'item'" in done.err
    assert f"{TEST.n_interactions:,} rows" in done.err


def test_the_same_figures_on_the_reopened_model_in_a_new_process(
    hashrec: Run, parts: Path, tmp_path: Path
) -> None:
    """To the last digit, and where torch cannot be imported."""
    model = tmp_path / "m"
    options = ("-k", "5", "-k", "20", "--protocol", "graphhash", "--json")
    fitted = hashrec("fit", parts, "--out", model, *options, *SMALL).json
    command = [sys.executable, "-c", NO_TORCH, "evaluate", str(model), "--test", str(parts)]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    again = json.loads(done.stdout)
    metrics = [key for key in fitted if "@" in key]
    assert len(metrics) == 16
    assert {key: again[key] for key in metrics} == {key: fitted[key] for key in metrics}
    for key in ("users_evaluated", "users_without_test", "protocol", "bytes_per_item"):
        assert again[key] == fitted[key]


def test_a_test_file_beside_the_train_file_says_the_same(
    hashrec: Run, parts: Path, tmp_path: Path
) -> None:
    both = hashrec("fit", parts, "--out", tmp_path / "a", "--json", *SMALL).json
    apart = hashrec(
        "fit", parts / "train.csv", "--test", parts / "test.csv",
        "--out", tmp_path / "b", "--json", *SMALL,
    ).json  # fmt: skip
    assert {key: both[key] for key in both if "@" in key} == {
        key: apart[key] for key in apart if "@" in key
    }
    evaluated = hashrec("evaluate", tmp_path / "b", "--test", parts / "test.csv", "--json").json
    assert evaluated["recall@20"] == apart["recall@20"]


def test_without_a_test_part_one_is_held_out_and_all_is_fitted_again(
    hashrec: Run, log: Path, tmp_path: Path
) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m", *SMALL)
    assert done.code == 0
    assert "measured on a part held out of it: 80 users, protocol lightgcn" in done.out
    assert "the model written was fitted again on everything" in done.out
    assert "fitting again on everything" in done.err
    assert train_of(tmp_path / "m") == LOG.n_interactions


def test_no_refit_leaves_the_part_out(hashrec: Run, log: Path, tmp_path: Path) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m", "--no-refit", *SMALL)
    assert "fitted again" not in done.out
    assert 0.7 * LOG.n_interactions < train_of(tmp_path / "m") < 0.9 * LOG.n_interactions


def test_no_evaluate_measures_nothing(hashrec: Run, log: Path, tmp_path: Path) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m", "--no-evaluate", "--json", *SMALL)
    assert not [key for key in done.json if "@" in key]
    assert train_of(tmp_path / "m") == LOG.n_interactions


def test_stdout_has_only_the_result(hashrec: Run, log: Path, tmp_path: Path) -> None:
    done = hashrec("fit", log, "--out", tmp_path / "m", *SMALL)
    lines = done.out.splitlines()
    assert lines[0].startswith("measured on")
    assert lines[1].split() == ["float", "32", "bit", "sign", "1", "bit"]
    assert lines[2].split()[0] == "recall@20"
    assert lines[-1].startswith("seconds: read ")
    assert "columns: user" not in done.out
    assert "columns: user" in done.err


def test_the_recipe_the_seed_and_the_settings_reach_the_model(
    hashrec: Run, log: Path, tmp_path: Path
) -> None:
    toml = tmp_path / "r.toml"
    toml.write_text('seed = 5\n[encoder]\ndim = 12\n[codes]\nname = "int"\nbits = 4\n')
    done = hashrec("fit", log, "--out", tmp_path / "m", "--recipe", toml, "--no-evaluate",
                   "--set", "encoder.dim=8", "--set", "seed=4", "--seed", 9)  # fmt: skip
    assert done.code == 0
    recipe = load(tmp_path / "m").recipe
    assert (recipe.seed, recipe.encoder.to_dict()["dim"]) == (9, 8)
    assert recipe.codes.to_dict()["bits"] == 4


def test_a_model_is_replaced_by_the_next_fit(hashrec: Run, log: Path, tmp_path: Path) -> None:
    for bits in (1, 4):
        done = hashrec("fit", log, "--out", tmp_path / "m", "--no-evaluate",
                       "--set", f"codes.bits={bits}", *SMALL)  # fmt: skip
        assert done.code == 0
    assert load(tmp_path / "m").recipe.codes.name == "int"
    assert [entry.name for entry in tmp_path.iterdir()] == ["m"]


def test_a_length_given_twice_counts_once(hashrec: Run, parts: Path, tmp_path: Path) -> None:
    """Bug: it was refused, and by `fit` only after all the work."""
    done = hashrec("fit", parts, "--out", tmp_path / "m", "-k", 5, "-k", 5, "--json", *SMALL)
    assert [key for key in done.json if key.startswith("recall")] == ["recall@5"]


def test_a_minimum_rating_applies_to_train_and_test(hashrec: Run, tmp_path: Path) -> None:
    rated = [(user, item, 5 if n % 3 else 1) for n, (user, item) in enumerate(pairs(LOG))]
    head = ("user", "item", "rating")
    write_csv(tmp_path / "train.csv", rated[::2], head)
    write_csv(tmp_path / "test.csv", rated[1::2], head)
    done = hashrec("fit", tmp_path / "train.csv", "--test", tmp_path / "test.csv", "--out",
                   tmp_path / "m", "--json", "--set", "data.min_rating=4", *SMALL)  # fmt: skip
    assert train_of(tmp_path / "m") == sum(rating == 5 for _, _, rating in rated[::2])
    evaluated = hashrec("evaluate", tmp_path / "m", "--test", tmp_path / "test.csv", "--json").json
    assert evaluated["recall@20"] == done.json["recall@20"]


def test_evaluate_for_people(hashrec: Run, model: Path, parts: Path) -> None:
    done = hashrec("evaluate", model, "--test", parts / "test.csv", "-k", 5)
    assert done.code == 0
    assert done.out.splitlines()[0] == (
        "80 users, protocol lightgcn; unknown in the test: 0 users (left out), 0 items (misses)"
    )
    assert done.out.splitlines()[1].split() == ["metric", "value"]
    assert done.out.splitlines()[2].startswith("recall@5")


def test_evaluate_counts_what_the_model_does_not_know(
    hashrec: Run, model: Path, tmp_path: Path
) -> None:
    user, item = pairs(TEST)[0]
    test = write_csv(tmp_path / "t.csv", [(user, item), (user, "new"), ("stranger", item)])
    result = hashrec("evaluate", model, "--test", test, "-k", 50, "--json").json
    assert (result["unknown_test_users"], result["unknown_test_items"]) == (1, 1)
    assert (result["users_evaluated"], result["recall@50"]) == (1, 0.5)


SHARED = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.data
def test_ml_100k_by_the_command_line(hashrec: Run, tmp_path: Path) -> None:
    source = SHARED / "ml-100k" / "ml-100k.inter"
    if not source.is_file():
        pytest.skip(f"{source} is not here")
    done = hashrec("fit", source, "--out", tmp_path / "m", "--json",
                   "--set", "data.min_rating=4", "--set", "encoder.dim=32")  # fmt: skip
    assert done.code == 0, done.err
    assert set(done.json) >= FIXED
    assert (done.json["bytes_per_item"], done.json["refitted"]) == (8, True)
    assert train_of(tmp_path / "m") == 55375
