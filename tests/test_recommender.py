"""The facade on planted data: what it answers, checked by other arithmetic."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import hashrec as hr
from hashrec.artifact import open_model, write_model
from hashrec.bucketing import buckets
from hashrec.codes import Coder, Codes, FloatCodes, IntCodes, Rotation, SignCodes
from hashrec.codes.rotation import RotationKind
from hashrec.csr import Csr
from hashrec.encoders import Encoding, Mf, Spectral, TwoTower
from hashrec.errors import DataError, ModelError, RecipeError, UnknownIdError, UsageError
from hashrec.evaluation import PROTOCOLS, evaluate
from hashrec.evaluation.oracle import expected_metrics, rank_everything
from hashrec.interactions import Interactions, UserSplit, planted, read
from hashrec.learning import Table, Training
from hashrec.recipe import Recipe
from hashrec.recommender import Recommender

K = 7
CODERS: dict[str, Coder] = {
    "float32": FloatCodes(),
    "float16": FloatCodes(bits=16),
    "int8": IntCodes(bits=8),
    "int4": IntCodes(bits=4),
    "int2": IntCodes(bits=2),
    "sign": SignCodes(),
    "sign without scale": SignCodes(scale="none"),
}


def named(log: Interactions) -> Interactions:
    """The same log with ids of text for users, so that users and items differ in type."""
    users = [f"u{user:03}" for user in log.users.take(log.matrix.row_of_entry).to_pylist()]
    return read(pd.DataFrame({"user": users, "item": log.items.take(log.matrix.indices)}))


LOG = named(planted(90, 60, communities=5, degree=14, noise=0.15, seed=4).interactions)
TRAIN, TEST = LOG.split(UserSplit(test=0.25, seed=1))
USERS: list[str] = LOG.users.array.to_pylist()


def fitted(**options: Any) -> Recommender:
    return Recommender(Recipe(**{"encoder": Spectral(dim=16), "seed": 3, **options})).fit(TRAIN)


@pytest.fixture(scope="module")
def model() -> Recommender:
    return fitted()


def by_user(table: Any, subject: str = "user") -> dict[Any, list[dict[str, Any]]]:
    rows: dict[Any, list[dict[str, Any]]] = {}
    for row in table.to_pylist():
        rows.setdefault(row[subject], []).append(row)
    return rows


def seen_of(user: str) -> set[int]:
    return set(TRAIN.items.take(TRAIN.matrix.row(USERS.index(user))).to_pylist())


# --- the shape of an answer --------------------------------------------------------------------


def test_the_columns_and_their_types(model: Recommender) -> None:
    table = model.recommend(["u003"], k=2)
    assert table.schema == pa.schema(
        {"user": pa.string(), "item": pa.int64(), "score": pa.float32(), "rank": pa.int32()}
    )
    assert model.similar([7], k=2).column_names == ["item", "similar", "score", "rank"]
    assert model.recommend_history([[7]], k=2).column_names == ["history", "item", "score", "rank"]


def test_every_user_gets_k_unseen_items_best_first(model: Recommender) -> None:
    rows = by_user(model.recommend(k=K))
    assert list(rows) == USERS
    for user, found in rows.items():
        assert [row["rank"] for row in found] == list(range(1, K + 1))
        assert len({row["item"] for row in found} - seen_of(user)) == K
        keys = [(-row["score"], row["item"]) for row in found]
        assert keys == sorted(keys)


def test_users_come_in_the_order_asked_and_as_often(model: Recommender) -> None:
    table = model.recommend(["u010", "u002", "u010"], k=1)
    assert table["user"].to_pylist() == ["u010", "u002", "u010"]
    assert table["item"][0] == table["item"][2]


def test_nobody_asked_for_is_an_empty_table(model: Recommender) -> None:
    table = model.recommend([], k=3)
    assert (table.num_rows, table.column_names) == (0, ["user", "item", "score", "rank"])


def test_k_beyond_the_items_gives_every_unseen_item(model: Recommender) -> None:
    for user in USERS[:5]:
        found = model.recommend([user], k=10_000).to_pylist()
        everything = set(LOG.items.array.to_pylist())
        assert {row["item"] for row in found} == everything - seen_of(user)
        assert len(found) == len(everything) - len(seen_of(user))


def test_seen_items_come_back_on_request(model: Recommender) -> None:
    found = model.recommend(["u003"], k=10_000, filter_seen=False)["item"].to_pylist()
    assert sorted(found) == LOG.items.array.to_pylist()


def test_the_planted_community_is_what_is_recommended() -> None:
    log, user_label, item_label = planted(200, 100, communities=4, degree=12, noise=0.0, seed=0)
    model = Recommender(Recipe(encoder=Spectral(dim=4), codes=FloatCodes())).fit(log)
    table = model.recommend(k=3)
    users, items = (table[name].to_numpy() for name in ("user", "item"))
    assert (user_label[users] == item_label[items]).all()


# --- the grid of coders ------------------------------------------------------------------------


def vectors_by_hand(model: Recommender) -> tuple[npt.NDArray[np.float64], Any]:
    """User vectors from the decoded items, by loops, before they are coded."""
    parts = model.fitted
    items = parts.item_codes.decode().astype(np.float64)
    assert parts.fold_in is not None
    degrees = np.bincount(TRAIN.matrix.indices, minlength=TRAIN.n_items)
    users = np.zeros((TRAIN.n_users, items.shape[1]))
    for user in range(TRAIN.n_users):
        history = TRAIN.matrix.row(user)
        for item in history:
            users[user] += items[item] * degrees[item] ** -parts.fold_in.item_exponent
        users[user] *= len(history) ** -parts.fold_in.user_exponent
    return users, items


@pytest.mark.parametrize("keeping", ["computed", "stored"])
@pytest.mark.parametrize(("items", "users"), list(itertools.product(CODERS, CODERS)))
def test_every_pair_of_coders_keeps_the_contract(items: str, users: str, keeping: str) -> None:
    """Scores are dot products of the decoded vectors; nothing seen; best first; batch = single."""
    model = fitted(codes=CODERS[items], user_codes=CODERS[users], users=keeping)
    parts = model.fitted
    left = parts.queries(np.arange(TRAIN.n_users)).decode().astype(np.float64)
    scores = left @ parts.item_codes.decode().astype(np.float64).T
    some = USERS[:12]
    table = model.recommend(some, k=K)
    tolerance = 1e-5 * np.abs(scores).max()
    for user, found in by_user(table).items():
        row = scores[USERS.index(user)]
        unseen = [item for item in range(TRAIN.n_items) if item not in seen_of(user)]
        best = sorted(row[unseen], reverse=True)[:K]
        assert [one["score"] for one in found] == pytest.approx(best, abs=tolerance)
        assert {one["item"] for one in found} <= set(unseen)
        assert [one["score"] for one in found] == pytest.approx(
            [row[one["item"]] for one in found], abs=tolerance
        )
    assert table.equals(pa.concat_tables([model.recommend([user], k=K) for user in some]))


@pytest.mark.parametrize(
    ("codes", "user_codes", "kind"),
    [
        (SignCodes(), FloatCodes(), "orthogonal"),
        (FloatCodes(), SignCodes(rotation="hadamard"), "hadamard"),
        (SignCodes(rotation="none"), IntCodes(bits=4), "orthogonal"),
        (FloatCodes(), FloatCodes(), "none"),
    ],
)
def test_both_sides_share_one_rotation_of_the_recipes_seed(
    codes: Coder, user_codes: Coder, kind: RotationKind
) -> None:
    """The items' wish comes first; where they have none, the users' is heard."""
    parts = fitted(codes=codes, user_codes=user_codes, users="stored").fitted
    assert parts.user_codes is not None
    assert parts.item_codes.rotation == parts.user_codes.rotation == Rotation(kind, 16, seed=3)


@pytest.mark.parametrize("items", CODERS)
def test_computed_users_are_the_formula_over_decoded_items(items: str) -> None:
    model = fitted(codes=CODERS[items])
    by_hand, _ = vectors_by_hand(model)
    ours = model.fitted.queries(np.arange(TRAIN.n_users)).decode()
    np.testing.assert_allclose(ours, by_hand, atol=1e-6 * np.abs(by_hand).max())


def test_stored_users_are_the_encoders_own_and_take_bytes() -> None:
    stored, computed = (fitted(users=way, codes=FloatCodes()) for way in ("stored", "computed"))
    assert stored.fitted.user_codes is not None
    assert computed.fitted.user_codes is None
    encoding = stored.encode(TRAIN)
    np.testing.assert_array_equal(stored.fitted.user_codes.decode(), encoding.users)
    assert stored.fitted.sizes()["bytes_per_user"] == 16 * 4
    assert computed.fitted.sizes()["bytes_per_user"] == 0
    one, other = (model.recommend(k=3)["score"].to_numpy() for model in (stored, computed))
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize(
    ("codes", "expected"),
    [(SignCodes(), 16 / 8 + 4), (SignCodes(scale="none"), 2), (IntCodes(bits=4), 8 + 4)],
)
def test_bytes_are_counted_from_the_arrays(codes: Coder, expected: int) -> None:
    sizes = fitted(codes=codes).fitted.sizes()
    assert sizes["bytes_per_item"] == expected
    assert sizes["item_bytes"] == expected * TRAIN.n_items
    assert (sizes["table_rows"], sizes["table_bytes"]) == (0, 0)
    entries = TRAIN.n_interactions
    assert sizes["seen_bytes"] == 4 * (TRAIN.n_users + 1) + 2 * entries


# --- histories, thresholds, similar ------------------------------------------------------------


@pytest.mark.parametrize("users", ["float32", "sign"])
def test_a_history_is_answered_like_the_user_who_has_it(users: str) -> None:
    model = fitted(user_codes=CODERS[users])
    some = USERS[:20]
    histories = [sorted(seen_of(user), reverse=True) for user in some]  # order must not matter
    known, unknown = model.recommend(some, k=K), model.recommend_history(histories, k=K)
    for column in ("item", "score", "rank"):
        assert known[column].equals(unknown[column])
    assert unknown["history"].to_pylist() == [n for n in range(20) for _ in range(K)]


def test_one_user_costs_the_decoding_of_their_items_alone(
    model: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[int] = []
    decode = Codes.decode

    def counting(codes: Codes) -> npt.NDArray[np.float32]:
        decoded.append(len(codes))
        return decode(codes)

    monkeypatch.setattr(Codes, "decode", counting)
    model.fitted.history_queries(Csr.from_lists([[3, 5], [5, 9]], n_columns=TRAIN.n_items))
    assert decoded == [3]


def test_a_repeated_item_counts_once(model: Recommender) -> None:
    assert model.recommend_history([[3, 5, 3]]).equals(model.recommend_history([[5, 3]]))


def test_an_empty_history_knows_nothing_and_says_so_in_zeros(model: Recommender) -> None:
    table = model.recommend_history([[], [3]], k=4)
    rows = by_user(table, "history")
    assert [row["score"] for row in rows[0]] == [0.0] * 4
    assert [row["item"] for row in rows[0]] == LOG.items.array.to_pylist()[:4]
    assert [row["item"] for row in rows[1]] == model.recommend_history([[3]], k=4)[
        "item"
    ].to_pylist()


def test_only_empty_histories(model: Recommender) -> None:
    assert model.recommend_history([[], []], k=2)["score"].to_pylist() == [0.0] * 4
    assert model.recommend_history([], k=2).num_rows == 0


def test_a_user_without_items_is_like_an_empty_history() -> None:
    entries = TRAIN.matrix.row_of_entry != 4
    rows, columns = TRAIN.matrix.row_of_entry[entries], TRAIN.matrix.indices[entries]
    matrix = Csr.from_pairs(rows, columns, n_rows=TRAIN.n_users, n_columns=TRAIN.n_items)
    model = Recommender(Recipe(encoder=Spectral(dim=8))).fit(TRAIN.with_matrix(matrix))
    found = model.recommend([USERS[4]], k=3)
    assert found["item"].to_pylist() == LOG.items.array.to_pylist()[:3]
    assert found["score"].to_pylist() == [0.0] * 3


@pytest.mark.parametrize("items", ["float32", "sign", "sign without scale"])
def test_a_threshold_is_a_lower_bound_and_includes_itself(items: str) -> None:
    model = fitted(codes=CODERS[items])
    everything = by_user(model.recommend(USERS[:6], k=10_000))
    for user, rows in everything.items():
        bound = rows[4]["score"]
        found = model.recommend([user], threshold=bound).to_pylist()
        assert found == [row for row in rows if row["score"] >= bound]
        assert len(found) >= 5
        above = float(np.nextafter(np.float32(rows[0]["score"]), np.float32(np.inf)))
        assert model.recommend([user], threshold=above).num_rows == 0
    table = model.recommend(USERS[:6], threshold=-math.inf)
    assert by_user(table) == everything


def test_a_threshold_applies_to_histories_and_seen_items_too(model: Recommender) -> None:
    rows = model.recommend_history([[3, 5]], k=10_000).to_pylist()
    found = model.recommend_history([[3, 5]], threshold=rows[2]["score"]).to_pylist()
    assert found == [row for row in rows if row["score"] >= rows[2]["score"]]
    items = model.recommend(["u003"], threshold=-math.inf, filter_seen=False)["item"]
    assert sorted(items.to_pylist()) == LOG.items.array.to_pylist()


def test_only_what_is_allowed_is_recommended(model: Recommender) -> None:
    """As if everything else were struck from the list of all."""
    stock = LOG.items.array.to_pylist()[::3]
    everything = by_user(model.recommend(USERS[:6], k=10_000))
    found = by_user(model.recommend(USERS[:6], k=4, allow=stock))
    for user, rows in everything.items():
        expected = [row for row in rows if row["item"] in stock][:4]
        assert [(row["item"], row["score"]) for row in found[user]] == [
            (row["item"], row["score"]) for row in expected
        ]
        assert [row["rank"] for row in found[user]] == [1, 2, 3, 4]
    bound = found[USERS[0]][1]["score"]
    above = model.recommend(USERS[:1], threshold=bound, allow=stock)
    assert above["item"].to_pylist() == [row["item"] for row in found[USERS[0]][:2]]
    history = model.recommend_history([[3, 5]], k=60, allow=stock)["item"].to_pylist()
    assert set(history) == set(stock) - {3, 5}
    assert model.recommend(USERS[:2], allow=[]).num_rows == 0
    with pytest.raises(UnknownIdError, match="1 unknown item: 999"):
        model.recommend(USERS[:2], allow=[999, *stock])
    again = model.recommend(USERS[:6], k=4, allow=[999, *stock], unknown="skip")
    assert by_user(again) == found


def test_a_threshold_for_a_wanted_average(
    model: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    tau = model.find_threshold(6.5)
    found = model.recommend(threshold=tau).num_rows / len(USERS)
    assert 6.5 <= found < 6.6
    few = model.find_threshold(3, USERS[:5])
    assert model.recommend(USERS[:5], threshold=few).num_rows >= 15
    monkeypatch.setattr("hashrec.watching._SOME", 30)
    assert model.find_threshold(6.5) == model.find_threshold(6.5)  # the same 30 of them
    assert model.find_threshold(6.5) == pytest.approx(tau, rel=0.5)


def test_a_threshold_that_is_no_number_is_refused(model: Recommender) -> None:
    with pytest.raises(UsageError, match="threshold is not a number"):
        model.recommend(["u003"], threshold=math.nan)


@pytest.mark.parametrize("items", CODERS)
def test_similar_is_the_cosine_and_leaves_the_item_itself_out(items: str) -> None:
    model = fitted(codes=CODERS[items])
    codes = model.fitted.item_codes
    if codes.bits == 1:  # from the bits themselves: +1 where set
        bits = np.unpackbits(codes.data, axis=1, bitorder="little")[:, : codes.dim]
        vectors = bits.astype(np.float64) * 2 - 1
    else:
        vectors = codes.decode().astype(np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    for item, rows in by_user(model.similar([0, 7, 59], k=10_000), "item").items():
        assert len(rows) == TRAIN.n_items - 1
        assert item not in {row["similar"] for row in rows}
        for row in rows:
            assert row["score"] == pytest.approx(cosine[item, row["similar"]], abs=2e-6)
            assert abs(row["score"]) <= 1 + 1e-6
        scores = [row["score"] for row in rows]
        assert scores == sorted(scores, reverse=True)


def test_items_without_length_are_similar_to_nothing() -> None:
    """An item that nobody met has a zero vector: cosine 0, never NaN."""
    rows, columns = TRAIN.matrix.row_of_entry, TRAIN.matrix.indices
    keep = columns != 2
    matrix = Csr.from_pairs(
        rows[keep], columns[keep], n_rows=TRAIN.n_users, n_columns=TRAIN.n_items
    )
    for codes in (FloatCodes(), SignCodes()):
        recipe = Recipe(encoder=Spectral(dim=8), codes=codes)
        model = Recommender(recipe).fit(TRAIN.with_matrix(matrix))
        rows_of_2 = model.similar([2], k=5)["score"].to_pylist()
        others = [row["score"] for row in model.similar([7], 99).to_pylist() if row["similar"] == 2]
        assert rows_of_2 == [0.0] * 5
        assert others == [0.0]


# --- unknown ids and wrong calls ---------------------------------------------------------------


def test_an_unknown_user_is_an_error_that_names_it(model: Recommender) -> None:
    words = "1 unknown user: 'u0003'; expected one of the 90 users.*Did you mean u003"
    with pytest.raises(UnknownIdError, match=words):
        model.recommend(["u003", "u0003"])


def test_an_unknown_item_is_an_error_that_names_it(model: Recommender) -> None:
    with pytest.raises(UnknownIdError, match="1 unknown item: 99; expected one of the 60 items"):
        model.similar([7, 99])
    with pytest.raises(UnknownIdError, match="2 unknown items: 99, -1"):
        model.recommend_history([[3], [99, 3, -1]])


def test_unknown_ids_can_be_skipped(model: Recommender) -> None:
    whole = model.recommend(["u003", "u009"], k=2)
    assert model.recommend(["u003", "nobody", "u009"], k=2, unknown="skip").equals(whole)
    assert model.recommend(["nobody"], unknown="skip").num_rows == 0
    assert model.similar([7, 99], k=2, unknown="skip").equals(model.similar([7], k=2))
    assert model.recommend_history([[3, 99]], unknown="skip").equals(model.recommend_history([[3]]))


def test_a_bare_text_is_not_taken_for_a_list_of_letters(model: Recommender) -> None:
    with pytest.raises(UsageError, match="users must be a list of ids; got the text 'u003'"):
        model.recommend("u003")
    with pytest.raises(UsageError, match="items must be a list of ids"):
        model.similar("7")


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_one_is_refused(model: Recommender, k: int) -> None:
    for ask in (lambda: model.recommend(["u003"], k=k), lambda: model.similar([7], k=k)):
        with pytest.raises(UsageError, match=f"k is too small; expected at least 1; got {k}"):
            ask()


def test_nothing_works_before_fit(tmp_path: Path) -> None:
    empty = Recommender()
    asks = (
        lambda: empty.recommend(["a"]),
        lambda: empty.recommend_history([["a"]]),
        lambda: empty.similar(["a"]),
        lambda: empty.evaluate(TEST),
        lambda: empty.save(tmp_path / "m"),
    )
    for ask in asks:
        with pytest.raises(UsageError, match="no model yet. Call fit first, or hr.load"):
            ask()
    assert not (tmp_path / "m").exists()


def test_nothing_to_learn_from_is_refused() -> None:
    nothing = TRAIN.with_matrix(Csr.empty(TRAIN.n_users, TRAIN.n_items))
    with pytest.raises(DataError, match="there are no interactions to learn from"):
        Recommender().fit(nothing)


class _WithoutFoldIn(Spectral):
    """An encoder that has vectors for known users and no formula for others."""

    def encode(self, *arguments: Any) -> Encoding:
        encoding = super().encode(*arguments)
        return Encoding(encoding.users, encoding.items, None)


def test_an_encoder_without_a_formula_needs_stored_users() -> None:
    recipe = Recipe(encoder=Spectral(dim=8)).model_copy(update={"encoder": _WithoutFoldIn(dim=8)})
    with pytest.raises(RecipeError, match='cannot compute users.*Set users to "stored"'):
        Recommender(recipe).fit(TRAIN)
    model = Recommender(recipe.model_copy(update={"users": "stored"})).fit(TRAIN)
    assert model.recommend(["u003"], k=2).num_rows == 2
    with pytest.raises(UsageError, match="a spectral model cannot read histories"):
        model.recommend_history([[3]])


# --- encoders that train -----------------------------------------------------------------------

LEARNED = Recipe(
    encoder=Mf(dim=8),
    table=Table(method="modulo", rows=0.5),
    training=Training(epochs=4, every=2),
)


def test_learned_users_are_stored_and_histories_read() -> None:
    model = Recommender(LEARNED).fit(TRAIN)
    assert model.fitted.user_codes is not None
    assert model.recommend_history([[3, 5]], k=2).num_rows == 2
    computed = Recommender(LEARNED.model_copy(update={"users": "computed"})).fit(TRAIN)
    assert computed.fitted.user_codes is None
    assert not model.recommend(k=5).equals(computed.recommend(k=5))


def test_a_trained_model_tells_its_tables_and_keeps_them_told(tmp_path: Path) -> None:
    """Half of 150 ids: 75 rows of 8 numbers, and 4 bytes an id to find its row."""
    model = Recommender(LEARNED).fit(TRAIN)
    sizes = model.fitted.sizes()
    assert (sizes["table_rows"], sizes["table_bytes"]) == (75, 4 * (75 * 8 + 150))
    model.save(tmp_path / "m")
    again = hr.load(tmp_path / "m", verify=True)
    assert again.fitted.sizes() == sizes
    assert again.recipe == LEARNED
    assert again.recommend(k=K).equals(model.recommend(k=K))
    assert fitted().fitted.sizes()["table_rows"] == 0


def test_epochs_that_were_chosen_before_are_run_without_choosing() -> None:
    events: list[Any] = []
    model = Recommender(LEARNED).fit(TRAIN, epochs=3, listeners=[events.append], stage="again")
    assert {(event["stage"], event["part"]) for event in events} == {("again", "all")}
    assert [event["epoch"] for event in events if event["event"] == "epoch"] == [1, 2, 3]
    assert model.fitted.facts["encoder"]["epochs"] == 3
    assert model.recommend(k=3).equals(Recommender(LEARNED).fit(TRAIN, epochs=3).recommend(k=3))


def test_nothing_is_kept_without_a_folder_and_the_journal_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Recommender(LEARNED).fit(TRAIN)
    assert list(tmp_path.iterdir()) == []
    Recommender(LEARNED).fit(TRAIN, folder=tmp_path / "kept", stage="mine")
    names = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert names == ["journal.jsonl", "mine-choose.safetensors"]


def test_features_reach_the_encoder_that_takes_them() -> None:
    recipe = Recipe(encoder=TwoTower(dim=8), training=Training(epochs=2, valid=0))
    ages = np.linspace(-1, 1, TRAIN.n_users, dtype=np.float32)[:, None]
    plain = Recommender(recipe).encode(TRAIN)
    aged = Recommender(recipe).encode(TRAIN, features={"user": ages})
    assert not np.array_equal(plain.users, aged.users)
    assert ages.tolist() == np.linspace(-1, 1, TRAIN.n_users, dtype=np.float32)[:, None].tolist()
    with pytest.raises(DataError, match="user features of another number of users.*90 rows"):
        Recommender(recipe).encode(TRAIN, features={"user": ages[1:]})
    with pytest.raises(DataError, match="item features that are no numbers; got 60 missing"):
        nothing = np.full((TRAIN.n_items, 1), np.nan, np.float32)
        Recommender(recipe).encode(TRAIN, features={"item": nothing})


def test_a_table_by_features_is_given_them() -> None:
    """Bug: `lsh` could not be the table's method, since nobody passed the features on."""
    table = {"method": "lsh", "rows": 0.5}
    recipe = Recipe.from_dict({"encoder": {"name": "mf", "dim": 4}, "table": table,
                               "training": {"epochs": 1, "valid": 0}})  # fmt: skip
    rng = np.random.default_rng(3)
    given = {
        "user": rng.normal(size=(TRAIN.n_users, 3)).astype(np.float32),
        "item": rng.normal(size=(TRAIN.n_items, 3)).astype(np.float32),
    }
    found = buckets(TRAIN, "lsh", 0.5, user_features=given["user"], item_features=given["item"])
    model = Recommender(recipe)
    assert model.encode(TRAIN, features=given).facts["buckets"] == found.fingerprint()
    with pytest.raises(UsageError, match="lsh needs features of both sides"):
        model.encode(TRAIN)


def test_features_nobody_takes_are_refused() -> None:
    """Bug: they were ignored."""
    ages = np.zeros((TRAIN.n_users, 1), np.float32)
    words = "encoder spectral takes no features; got user. Leave them out, or set encoder.name to"
    with pytest.raises(UsageError, match=words):
        Recommender(Recipe(encoder=Spectral(dim=8))).fit(TRAIN, features={"user": ages})


# --- evaluation --------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("users", ["float32", "sign without scale"])
@pytest.mark.parametrize("ks", [[1, 5], [20], [5, 80]], ids=str)
@pytest.mark.parametrize("test", [TEST, LOG], ids=["unseen", "seen too"])
def test_ties_are_measured_as_the_oracle_measures_them(
    users: str, protocol: str, test: Interactions, ks: list[int]
) -> None:
    """Four signs a side: five different scores among sixty items, so ties decide everything."""
    model = fitted(encoder=Spectral(dim=4), codes=SignCodes(scale="none"), user_codes=CODERS[users])
    parts = model.fitted
    held = test.heldout(TRAIN.users, TRAIN.items)
    rows = np.flatnonzero(held.sizes)
    scores = model._index.score(parts.queries(rows), _everything(len(rows)))
    scores = scores.reshape(len(rows), -1)
    seen, truth = TRAIN.matrix.take(rows), held.truth.take(rows)
    ranking = rank_everything(scores, seen, truth, k=max(ks))
    expected = evaluate(
        ranking, truth, held.sizes[rows], ks=ks, protocol=protocol, n_items=TRAIN.n_items
    )
    report = model.evaluate(test, ks, protocol=protocol)
    assert report.metrics == expected.metrics
    assert report.metrics[f"tie_rate@{ks[0]}"] > 0.1
    assert (report.protocol, report.users_evaluated) == (protocol, len(rows))


def _everything(n_users: int) -> Csr:
    return Csr.from_lists([list(range(TRAIN.n_items))] * n_users, n_columns=TRAIN.n_items)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_small_model_against_every_order_of_its_ties(protocol: str) -> None:
    """Eight items and every permutation of equal ones: expectation by counting, not by formula."""
    log = planted(12, 8, communities=2, degree=5, noise=0.3, seed=2).interactions
    train, test = log.split(UserSplit(test=0.4, seed=0))
    no_scale = SignCodes(scale="none")
    recipe = Recipe(encoder=Spectral(dim=4), codes=no_scale, user_codes=no_scale)
    model = Recommender(recipe).fit(train)
    parts = model.fitted
    users = parts.queries(np.arange(train.n_users)).decode()
    scores = users @ parts.item_codes.decode().T  # whole numbers: exact in any order
    held = test.heldout(train.users, train.items)
    for k in (1, 2, 3):
        report = model.evaluate(test, [k], protocol=protocol)
        each = [
            expected_metrics(
                scores[user].tolist(),
                train.matrix.row(user).tolist(),
                held.truth.row(user).tolist(),
                size=int(held.sizes[user]),
                k=k,
                protocol=PROTOCOLS[protocol],
            )
            for user in np.flatnonzero(held.sizes)
        ]
        for key in ("recall", "precision", "ndcg", "mrr", "hit_rate", "tie_rate"):
            mean = math.fsum(one[key] for one in each) / len(each)
            assert report.metrics[f"{key}@{k}"] == pytest.approx(mean, abs=1e-12)


def table(*pairs: tuple[str, int]) -> Interactions:
    return read(pd.DataFrame(list(pairs), columns=["user", "item"]))


def test_unknown_test_items_are_misses_and_unknown_users_are_left_out(model: Recommender) -> None:
    """u003 has one test item that can be had and three that no model could know: recall 1/4."""
    unseen = min(set(LOG.items.array.to_pylist()) - seen_of("u003"))
    test = table(("u003", unseen), ("u003", 901), ("u003", 902), ("u003", 903), ("nobody", unseen))
    report = model.evaluate(test, [60])
    assert report.metrics["recall@60"] == 0.25
    assert report.metrics["precision@60"] == 1 / 60
    assert (report.users_evaluated, report.users_without_test) == (1, 89)
    held = model.heldout(test)
    assert (held.unknown_users, held.unknown_items) == (1, 3)


def test_a_seen_test_item_cannot_be_hit(model: Recommender) -> None:
    test = table(("u003", min(seen_of("u003"))))
    assert model.evaluate(test, [60]).metrics["recall@60"] == 0.0


def test_a_test_part_of_strangers_is_refused(model: Recommender) -> None:
    words = "no user of the model has test items; got 2 test users, all unknown.*same ids"
    with pytest.raises(DataError, match=words):
        model.evaluate(table(("x", 1), ("y", 2)))


def test_wrong_cuts_and_protocols_are_refused(model: Recommender) -> None:
    with pytest.raises(UsageError, match="unknown protocol 'lightgnc'.*Did you mean lightgcn"):
        model.evaluate(TEST, protocol="lightgnc")
    for ks in ([], [5, 5]):
        with pytest.raises(UsageError, match="ks: wrong cuts; expected positive, distinct"):
            model.evaluate(TEST, ks)


# --- keeping -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"users": "stored", "user_codes": SignCodes()},
        {"codes": FloatCodes(bits=16)},
        {"codes": IntCodes(bits=3), "users": "stored", "user_codes": IntCodes(bits=5)},
        {"codes": SignCodes(rotation="hadamard", scale="none")},
    ],
    ids=["default", "stored signs", "float16", "int3 x int5", "hadamard"],
)
def test_a_saved_model_answers_bit_for_bit_the_same(tmp_path: Path, options: Any) -> None:
    model = fitted(**options)
    model.save(tmp_path / "m")
    again = hr.load(tmp_path / "m", verify=True)
    assert again.recipe == model.recipe
    assert again.recommend(k=K).equals(model.recommend(k=K))
    assert again.recommend(threshold=0.0).equals(model.recommend(threshold=0.0))
    assert again.similar([0, 7], k=K).equals(model.similar([0, 7], k=K))
    assert again.recommend_history([[3, 5]]).equals(model.recommend_history([[3, 5]]))
    assert again.evaluate(TEST, [5, 20]) == model.evaluate(TEST, [5, 20])
    assert again.fitted.sizes() == model.fitted.sizes()


def test_a_loaded_model_saves_as_the_same_bytes(tmp_path: Path, model: Recommender) -> None:
    model.save(tmp_path / "one")
    hr.load(tmp_path / "one").save(tmp_path / "two")
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def without_times(folder: Path) -> dict[str, Any]:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    del manifest["facts"]["seconds"], manifest["checksum"]
    return manifest


def test_the_same_seed_is_the_same_bytes_and_another_is_not(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        fitted(seed=seed).save(tmp_path / name)
    for name in ("arrays.safetensors", "ids.parquet", "seen.safetensors"):
        one, two = ((tmp_path / folder / name).read_bytes() for folder in ("one", "two"))
        assert one == two
    assert without_times(tmp_path / "one") == without_times(tmp_path / "two")
    arrays = [
        (tmp_path / folder / "arrays.safetensors").read_bytes() for folder in ("one", "three")
    ]
    assert arrays[0] != arrays[1]


def test_the_callers_data_are_not_changed() -> None:
    before = (TRAIN.fingerprint(), TRAIN.matrix.indices.tobytes())
    fitted().recommend(k=3)
    assert (TRAIN.fingerprint(), TRAIN.matrix.indices.tobytes()) == before


def test_fitting_again_forgets_the_first_model() -> None:
    """The search index is kept between questions, so it must go with its model."""
    model = Recommender(Recipe(encoder=Spectral(dim=8)))
    first = model.fit(TRAIN).recommend(["u003"], k=3), model.similar([7], k=3)
    model.fit(TEST)
    fresh = Recommender(Recipe(encoder=Spectral(dim=8))).fit(TEST)
    assert model.recommend(["u003"], k=3).equals(fresh.recommend(["u003"], k=3))
    assert model.similar([7], k=3).equals(fresh.similar([7], k=3))
    assert not model.recommend(["u003"], k=3).equals(first[0])


def test_facts_are_added_to_a_copy(tmp_path: Path, model: Recommender) -> None:
    richer = model.with_facts(metrics={"recall@20": 0.5})
    assert "metrics" not in model.fitted.facts
    assert richer.fitted.facts["metrics"] == {"recall@20": 0.5}
    assert richer.fitted.facts["fingerprint"] == TRAIN.fingerprint()
    richer.save(tmp_path / "m")
    assert hr.load(tmp_path / "m").fitted.facts["metrics"] == {"recall@20": 0.5}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header: header.pop("item_codes"), "item_codes"),
        (lambda header: header["item_codes"].update(dim=17), "rows must be 3 long"),
        (lambda header: header["item_codes"].update(bits=9), "codes of 9 bits"),
        (lambda header: header["recipe"].update(colour="red"), "unknown key colour"),
        (lambda header: header["recipe"]["encoder"].update(name="gnn"), "unknown encoder 'gnn'"),
        (lambda header: header.update(fold_in={"a": 1}), "unexpected keyword"),
    ],
)
def test_a_header_that_does_not_fit_is_a_model_error(
    tmp_path: Path, model: Recommender, change: Any, words: str
) -> None:
    """A folder whose checksums are right and whose content is not."""
    _rewritten(tmp_path / "m", model, change)
    with pytest.raises(
        ModelError, match=f"m: the model's parts do not fit together; got .*{words}"
    ):
        hr.load(tmp_path / "m", verify=True)


@pytest.mark.parametrize("by", [-1, 1])
@pytest.mark.parametrize("side", ["users", "items"])
def test_ids_that_are_not_as_many_as_the_vectors_are_refused(
    tmp_path: Path, model: Recommender, side: str, by: int
) -> None:
    """Bug: such a folder opened, and answered with the wrong ids or an IndexError."""
    parts = model.fitted
    model.save(tmp_path / "m")
    stored = open_model(tmp_path / "m")
    ids = {"users": parts.users.array, "items": parts.items.array}
    one_more = pa.concat_arrays([ids[side], pa.array(["z"] if side == "users" else [999])])
    ids[side] = one_more[: len(ids[side]) + by]
    write_model(
        tmp_path / "m", stored.header, stored.arrays, stored.seen, ids["users"], ids["items"]
    )
    with pytest.raises(ModelError, match="do not fit together; got"):
        hr.load(tmp_path / "m", verify=True)


def _rewritten(path: Path, model: Recommender, change: Any) -> None:
    model.save(path)
    stored = open_model(path)
    header = json.loads(json.dumps(stored.header))
    change(header)
    write_model(path, header, stored.arrays, stored.seen, stored.users, stored.items)


# --- ids of every kind -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids",
    [
        ["007", "7", 'say "hi", twice', "naïve", "日本", " x "],
        [2**63 - 1, -(2**63), 0, 7, -1, 5],
        [2**64 - 1, 2**63, 0, 7, 1, 5],
    ],
    ids=["text", "int64", "uint64"],
)
def test_own_ids_come_back_as_they_went_in(tmp_path: Path, ids: list[Any]) -> None:
    pairs = [(user, item) for user in ids for item in ids if user != item]
    users, items = zip(*pairs, strict=True)
    kind = pa.uint64() if 2**64 - 1 in ids else None
    frame = pa.table({"user": pa.array(users, kind), "item": pa.array(items, kind)})
    Recommender(Recipe(encoder=Spectral(dim=4))).fit(read(frame)).save(tmp_path / "m")
    model = hr.load(tmp_path / "m", verify=True)
    for one in ids:
        assert model.recommend([one], k=9)["item"].to_pylist() == [one]  # all others are seen
        assert set(model.similar([one], k=9)["similar"].to_pylist()) == set(ids) - {one}


# --- real data ---------------------------------------------------------------------------------

SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.mark.data
def test_ml_100k_with_ratings_of_four_and_more(tmp_path: Path) -> None:
    source = SHARED / "ml-100k" / "ml-100k.inter"
    if not source.is_file():
        pytest.skip(f"{source} is not here")
    recipe = Recipe.from_toml(None, ["data.min_rating=4", "encoder.dim=32"])
    log = hr.read(source, cleaning=recipe.data)
    assert (log.n_users, log.n_items, log.n_interactions) == (942, 1447, 55375)
    train, test = log.split(recipe.holdout)
    report = Recommender(recipe).fit(train).evaluate(test, [20])
    assert 0.2 < report.metrics["recall@20"] < 0.6
    assert set(report.metrics) == {
        f"{name}@20"
        for name in (
            "recall", "precision", "ndcg", "f1", "mrr", "hit_rate", "coverage", "tie_rate",
        )
    }  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"users": "stored"},
        {"users": "stored", "user_codes": {"name": "transform", "bits": 4}},
        {"users": "stored", "user_codes": "sign"},
        {"user_codes": {"name": "int", "bits": 8}},
    ],
)
def test_transform_codes_beside_every_kind_of_user(more: dict[str, Any], tmp_path: Path) -> None:
    """Saved and reopened, alone and among all, the same bits; and near to what floats recommend."""
    log = planted(120, 90, communities=5, degree=12, noise=0.1, seed=4).interactions
    train, test = log.split(UserSplit(test=0.2, seed=0))
    base = {"encoder": {"name": "spectral", "dim": 16}, "users": more.get("users", "auto")}
    floats = Recommender(Recipe.from_dict({**base, "codes": "float"})).fit(train)
    options = {**base, **more, "codes": {"name": "transform", "bits": 4}}
    model = Recommender(Recipe.from_dict(options)).fit(train)
    assert model.fitted.sizes()["bytes_per_item"] == 8
    wanted = floats.evaluate(test).metrics["recall@20"]
    lost = 0.25 if more.get("user_codes") == "sign" else 0.05
    assert model.evaluate(test).metrics["recall@20"] > wanted * (1 - lost)
    model.save(tmp_path / "m")
    again = hr.load(tmp_path / "m", verify=True)
    whole = again.recommend(k=5)
    assert whole.equals(model.recommend(k=5))
    user = whole["user"][35].as_py()
    assert again.recommend([user], k=5).equals(whole.filter(pc.equal(whole["user"], user)))
    near = again.similar(train.items.array.to_pylist()[:4], k=3)
    assert 0 < near["score"][0].as_py() <= 1 + 1e-6


def test_a_second_stage_ranks_candidates_anew(tmp_path: Path) -> None:
    log = planted(120, 90, communities=5, degree=12, noise=0.1, seed=4).interactions
    train, test = log.split(UserSplit(test=0.2, seed=0))
    base = {"encoder": {"name": "spectral", "dim": 16}, "users": "stored"}
    made = {}
    for name, more in (("codes", {}), ("both", {"rerank": 40}), ("float", {"codes": "float"}),
                       ("signs", {"rerank": 40, "rerank_codes": "sign"})):  # fmt: skip
        made[name] = Recommender(Recipe.from_dict({**base, **more})).fit(train)
    recall = {name: model.evaluate(test).metrics["recall@20"] for name, model in made.items()}
    assert recall["codes"] < recall["both"] <= recall["float"] * 1.02
    alone = made["both"].evaluate(test, rerank=False).metrics["recall@20"]
    assert alone == recall["codes"] == pytest.approx(recall["signs"], abs=1e-9)
    sizes = made["both"].fitted.sizes()
    assert sizes["bytes_per_item"] == 6 and sizes["second_bytes"] == 90 * 16 * 2 + 120 * 16 * 4
    made["both"].save(tmp_path / "m")
    again = hr.load(tmp_path / "m", verify=True)
    whole = again.recommend(k=5)
    assert whole.equals(made["both"].recommend(k=5))
    user = whole["user"][35].as_py()
    assert again.recommend([user], k=5).equals(whole.filter(pc.equal(whole["user"], user)))
    # A threshold is one of codes: their scores and their items.
    low = float(made["codes"].recommend([user], k=3)["score"][2].as_py())
    same = [made[name].recommend([user], threshold=low) for name in ("codes", "both")]
    assert same[0].equals(same[1]) and len(same[0]) >= 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rerank": 10}, "a second stage needs stored users, and these are computed"),
        ({"rerank": -1}, "rerank"),
        ({"rerank_codes": "transform"}, "keeps each vector by itself.*got transform"),
        ({"rerank_codes": "ste"}, "keeps each vector by itself.*got ste"),
    ],
)
def test_second_stages_that_cannot_be_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError, match=words):
        Recipe.from_dict(options)


def test_a_second_stage_that_the_recipe_does_not_know_is_refused() -> None:
    log = planted(30, 20, communities=2, degree=6, noise=0.1, seed=4).interactions
    recipe = Recipe.from_dict({"encoder": {"dim": 4}, "users": "stored", "rerank": 5})
    fitted = Recommender(recipe).fit(log).fitted
    assert fitted.second is not None
    with pytest.raises(ValueError, match="rerank is 5, and the second stage says otherwise"):
        replace(fitted, second=None)
    few = replace(fitted.second, users=fitted.second.users.take(np.arange(3)))
    with pytest.raises(ValueError, match="a second stage of 3 users and 20 items"):
        replace(fitted, second=few)
