"""Graph methods: budgets met, rules that place newcomers, levels, second choices, drift."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import hashrec as hr
from hashrec.bucketing import Assignment, Buckets, buckets, drift, load_buckets, save_buckets
from hashrec.bucketing.arrivals import Arrivals
from hashrec.bucketing.hashed import Hashed
from hashrec.bucketing.neighbours import Neighbours, best_of_each
from hashrec.bucketing.reserved import Reserved
from hashrec.bucketing.rows import Target, met
from hashrec.clustering import BipartiteGraph, Partition, modularity, modularity_oracle, transposed
from hashrec.csr import Csr
from hashrec.errors import UsageError
from hashrec.interactions import Interactions, planted

GRAPH_METHODS = ["graph", "leiden", "double-graph", "balanced", "pyramid"]


def log(noise: float = 0.1, seed: int = 0) -> Interactions:
    return planted(300, 150, communities=10, degree=12, noise=noise, seed=seed).interactions


def sparse(dense: npt.ArrayLike) -> scipy.sparse.csr_array:
    return scipy.sparse.csr_array(np.asarray(dense, dtype=float))


def graph_of(dense: npt.NDArray[np.float64]) -> BipartiteGraph:
    row, column = np.nonzero(dense)
    rows = Csr.from_pairs(row, column, n_rows=dense.shape[0], n_columns=dense.shape[1])
    return BipartiteGraph.build(rows, transposed(rows)[0])


# Budgets.


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    users=st.integers(1, 25),
    items=st.integers(1, 25),
    share=st.floats(0, 1),
    edgeless=st.sampled_from(["reserved", "hash"]),
)
def test_the_budget_is_met_to_the_row_or_one_below(
    seed: int, users: int, items: int, share: float, edgeless: str
) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.random((users, items)) < 0.2
    dense[0, 0] = True
    least = 4 if edgeless == "reserved" else 2
    n = users + items
    if n < least:
        return
    rows = least + int(share * (n - least))
    found = buckets(sparse(dense), {"name": "graph", "edgeless": edgeless}, rows)
    reserved = 2 if edgeless == "reserved" and rows < n else 0
    linked = int(dense.any(0).sum() + dense.any(1).sum())
    most = min(rows, linked + reserved)
    # Rows of the two sides are saved in pairs at the very bottom: a community is a row on each.
    assert found.rows <= rows
    assert found.rows >= most - 1
    for side, mask in ((found.users, dense.any(1)), (found.items, dense.any(0))):
        assert side.sizes.min() >= (0 if reserved else 1)
        if reserved:
            assert (side.buckets[~mask, 0] == side.rows - 1).all()
            assert (side.buckets[mask, 0] < side.rows - 1).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(3, 299), st.integers(3, 149))
def test_each_side_has_its_own_budget(user_rows: int, item_rows: int) -> None:
    found = buckets(log(), "graph", user_rows=user_rows, item_rows=item_rows)
    assert found.users.rows == user_rows
    assert found.items.rows == item_rows
    assert {"user_gamma", "item_gamma", "user_modularity"} <= set(found.facts)


@pytest.mark.parametrize("method", GRAPH_METHODS)
@pytest.mark.parametrize("rows", [0.1, 0.25, 0.5, 0.9])
def test_shares_are_met_within_a_hundredth(method: str, rows: float) -> None:
    found = buckets(log(), method, rows)
    wanted = round(rows * 450)
    assert wanted * 0.99 - 1 <= found.rows <= wanted


def test_planted_communities_are_the_buckets() -> None:
    made = planted(300, 150, communities=10, degree=12, noise=0.0, seed=1)
    found = buckets(made.interactions, "graph", 20 + 2)
    for side, truth in (
        (found.users, made.user_communities), (found.items, made.item_communities)
    ):  # fmt: skip
        pairs = set(zip(side.buckets[:, 0].tolist(), truth.tolist(), strict=True))
        assert len(pairs) == 10


def test_a_row_for_each_where_all_are_asked_for() -> None:
    found = buckets(log(), "graph", 450)
    linked = log().matrix.column_counts() > 0
    assert (found.users.sizes == 1).all()
    assert len(set(found.items.buckets[linked, 0].tolist())) == linked.sum()


def test_a_given_resolution_needs_no_rows_and_keeps_them() -> None:
    free = buckets(log(), {"name": "graph", "gamma": 5.0})
    assert free.facts["gamma"] == 5.0
    bound = buckets(log(), {"name": "graph", "gamma": 5.0}, free.rows - 3)
    assert bound.rows in (free.rows - 3, free.rows - 4)
    assert bound.facts["gamma"] == 5.0
    with pytest.raises(UsageError, match="no budget"):
        buckets(log(), "graph")


def test_too_few_rows() -> None:
    with pytest.raises(UsageError, match=r"rows: too few rows; expected at least 4, the reserved"):
        buckets(log(), "graph", 3)
    assert buckets(log(), {"name": "graph", "edgeless": "hash"}, 2).rows == 2
    with pytest.raises(UsageError, match="too few rows for these levels"):
        buckets(log(), "pyramid", 9)


@pytest.mark.parametrize("largest", [0.02, 0.1])
def test_no_bucket_is_larger_than_the_bound(largest: float) -> None:
    found = buckets(log(), {"name": "graph", "largest": largest}, 0.5)
    assert found.users.sizes.max() <= int(300 * largest)
    assert found.items.sizes[:-1].max() <= int(150 * largest)
    assert found.rows <= 225


def test_one_giant_star() -> None:
    star = sparse(np.ones((1, 400)))
    found = buckets(star, {"name": "graph", "largest": 0.1}, 100)
    assert found.rows in (99, 100)
    assert found.items.sizes.max() <= 40


def test_parts_without_a_link_share_a_row_only_when_they_must() -> None:
    blocks = sparse(np.kron(np.eye(6), np.ones((5, 4))))
    found = buckets(blocks, {"name": "graph", "edgeless": "hash"}, 12)
    assert sorted(found.users.sizes.tolist()) == [5] * 6
    fewer = buckets(blocks, {"name": "graph", "edgeless": "hash"}, 4)
    assert fewer.rows == 4


def test_facts_are_those_of_the_partition_kept() -> None:
    data = log()
    found = buckets(data, "graph", 0.2)
    graph = BipartiteGraph.build(data.matrix, transposed(data.matrix)[0])
    rule = found.users.rules[0]
    assert isinstance(rule, Neighbours)
    linked = graph.item_strength > 0
    items = np.where(linked, rule.homes, 10_000)  # an item's community, as a row of users
    lonely = items < 0
    items[lonely] = 20_000 + found.items.buckets[lonely, 0]
    partition = Partition.of(found.users.buckets[:, 0], items)
    gamma = found.facts["gamma"]
    assert found.facts["modularity"] == pytest.approx(modularity(graph, partition, gamma))
    gammas = [run["gamma"] for run in found.facts["runs"]]
    assert gammas == sorted(gammas)


def test_the_same_buckets_on_every_machine() -> None:
    """Golden: a deliberate change of the algorithm may change these, nothing else may."""
    found = buckets(hr.read("debian"), "graph", 0.25)
    assert found.rows == 4680
    assert found.fingerprint()[:16] == "7931dcf96182e6c9"


# What a hostile reading found.


@pytest.mark.parametrize("gamma", [None, 1.0, 1e6])
@pytest.mark.parametrize("budget", [{"rows": 2}, {"user_rows": 1, "item_rows": 1}, {"rows": 3}])
def test_communities_of_one_side_do_not_stop_the_merging(
    gamma: float | None, budget: dict[str, int]
) -> None:
    """Once a pair of neighbours in order of strength could be a user's and an item's, saving no
    row, and the budget was silently exceeded."""
    options = {"name": "graph", "edgeless": "hash", **({} if gamma is None else {"gamma": gamma})}
    found = buckets(sparse(np.diag([1.0, 10, 100, 1000])), options, **budget)
    assert found.rows == sum(budget.values())


def test_a_bound_that_no_budget_allows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"largest: the bound on bucket sizes contradicts .*450"):
        buckets(planted(300, 150, communities=10, degree=80, noise=0.5, seed=0).interactions,
                {"name": "graph", "largest": 0.001}, 100)  # fmt: skip


def test_a_tight_bound_is_met_by_regrouping() -> None:
    """Five rows of eight users each are the only way; merging pairs does not find it."""
    dense = np.zeros((40, 8))
    dense[np.arange(40), np.arange(40) % 8] = 1
    dense[0] = 1
    options = {"name": "graph", "largest": 0.2, "edgeless": "hash"}
    found = buckets(sparse(dense), options, user_rows=5, item_rows=8)
    assert found.users.sizes.tolist() == [8] * 5
    assert found.items.rows == 8


def test_the_bound_holds_without_a_budget() -> None:
    found = buckets(log(), {"name": "graph", "gamma": 0.01, "largest": 0.1})
    assert found.users.sizes.max() <= 30


def test_where_each_may_have_a_row_nobody_shares() -> None:
    found = buckets(log(), "graph", user_rows=300, item_rows=20)
    assert (found.users.sizes == 1).all()
    assert found.items.rows == 20
    dense = np.vstack([log().to_scipy().toarray(), np.zeros((30, 150))])
    with_lonely = buckets(sparse(dense), "graph", 1.0)
    assert (with_lonely.users.sizes == 1).all()
    assert len(with_lonely.users) == 330


def test_tied_ids_with_edges_one_way_can_be_set_apart() -> None:
    """Once 0 / 0; a warning is an error here."""
    rng = np.random.default_rng(0)
    upper = np.triu(rng.random((60, 60)) < 0.1, 1)
    found = buckets(sparse(upper), {"name": "graph", "edgeless": "hash"}, 118, tied=True)
    assert found.users.rows == 59


def test_weights_matter_to_those_who_come_later() -> None:
    """A newcomer with a heavy edge to one room and two light ones to another."""
    data = planted(60, 40, communities=2, degree=10, noise=0.0, seed=0)
    found = buckets(data.interactions, {"name": "graph", "gamma": 0.5})
    one, two = (np.flatnonzero(data.item_communities == c)[:2] for c in (0, 1))
    known = {"user": [5] * 2, "item": [two[0], one[0]]}  # stands before, with weights of its own
    new = {"user": [100] * 3, "item": [one[0], two[0], two[1]]}
    later = hr.read(pa.table({key: known[key] + new[key] for key in new}))
    items = later.items.take(later.matrix.indices).to_numpy()
    of_new = later.matrix.row_of_entry == 1
    heavy = np.where((items == one[0]) == of_new, 5.0, 1.0)

    def room(extended: Buckets) -> int:
        row = extended.users.buckets[-1, 0]
        return int(data.user_communities[np.flatnonzero(extended.users.buckets[:, 0] == row)[0]])

    assert room(found.extend(later)) == 1
    assert room(found.extend(later, weights=heavy)) == 0


# Merging and setting apart.


def target_of(graph: BipartiteGraph, rows: int, largest: int = 100) -> Target:
    return Target(rows, graph.user_strength > 0, graph.item_strength > 0, (largest, largest))


def test_the_cheapest_pair_merges() -> None:
    """By brute force over all pairs of communities, on a graph of four."""
    rng = np.random.default_rng(5)
    dense = (np.kron(np.eye(4), np.ones((4, 3))) + (rng.random((16, 12)) < 0.15) > 0).astype(float)
    labels = np.repeat(np.arange(4), 4), np.repeat(np.arange(4), 3)
    graph = graph_of(dense)
    found = met(graph, Partition.of(*labels), 1.0, target_of(graph, 6))
    best = max(
        (modularity_oracle(dense, np.where(labels[0] == b, a, labels[0]).astype(np.int32),
                           np.where(labels[1] == b, a, labels[1]).astype(np.int32), 1.0), a, b)
        for a in range(4) for b in range(a + 1, 4)
    )  # fmt: skip
    assert found.n_communities == 3
    assert modularity(graph, found) == pytest.approx(best[0])


def test_the_one_least_at_home_is_set_apart() -> None:
    dense = np.kron(np.eye(2), np.ones((3, 4)))
    dense[1, 4:6] = 1  # user 1 has 4 edges at home and 2 abroad; user 0 stays as the anchor
    graph = graph_of(dense)
    start = Partition.of(np.repeat([0, 1], 3), np.repeat([0, 1], 4))
    found = met(graph, start, 1.0, target_of(graph, 5))
    assert found.n_communities == 3
    assert (found.users == found.users[1]).sum() == 1
    assert found.users[1] not in found.items


# Rules.


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 1000), weighted=st.booleans(), exponent=st.sampled_from([0.0, 0.5, 1.0]))
def test_newcomers_go_where_they_gain_most(seed: int, weighted: bool, exponent: float) -> None:
    rng = np.random.default_rng(seed)
    rows, opposite, count = 5, 9, 6
    homes = rng.integers(-1, rows, opposite - 2).astype(np.int32)  # two strangers beyond
    load = rng.integers(0, 5, rows).astype(np.float64)
    rule = Neighbours(0.25, homes, load, exponent, 1.5, Reserved(4))
    met_by = Csr.from_lists(
        [sorted(set(rng.integers(0, opposite, rng.integers(0, 6)).tolist())) for _ in range(count)],
        n_columns=opposite,
    )
    weights = (rng.integers(1, 5, len(met_by.indices)) / 2).astype(np.float32)
    ids = pa.array(np.arange(count))
    placed = rule.place(Arrivals(ids, 0, met_by, weights if weighted else None))
    for newcomer in range(count):
        entries = range(met_by.offsets[newcomer], met_by.offsets[newcomer + 1])
        w = {entry: float(weights[entry]) if weighted else 1.0 for entry in entries}
        strength = 1.5 * sum(w.values()) ** exponent
        gains = {}
        for entry in entries:
            at = met_by.indices[entry]
            if at < len(homes) and homes[at] >= 0:
                row = int(homes[at])
                gains[row] = gains.get(row, -0.25 * strength * load[row]) + w[entry]
        expected = min(gains, key=lambda row: (-gains[row], row)) if gains else 4
        assert placed[newcomer] == expected


def test_ranks_and_shifts() -> None:
    newcomer, row = np.array([0, 0, 0, 1]), np.array([2, 5, 7, 3])
    gain = np.array([1.0, 3.0, 3.0, -1.0])
    assert row[best_of_each(newcomer, row, gain)].tolist() == [5, 3]
    assert row[best_of_each(newcomer, row, gain, 1)].tolist() == [7, 3]
    assert row[best_of_each(newcomer, row, gain, 2)].tolist() == [2, 3]
    rule = Neighbours(0.1, np.array([1, -1], np.int32), np.ones(3), 1.0, 1.0, Hashed(0, "s", 3))
    moved = rule.shifted(10)
    arrivals = Arrivals(pa.array([5, 6]), 0, Csr.from_lists([[0], [1]], n_columns=2))
    assert (moved.place(arrivals) == rule.place(arrivals) + 10).all()


@pytest.mark.parametrize("method", ["graph", "leiden", "balanced", "pyramid"])
def test_hidden_items_return_to_their_community(method: str) -> None:
    made = planted(300, 150, communities=10, degree=12, noise=0.0, seed=2)
    data = made.interactions
    shown = data.matrix.column_counts() > 0
    hidden = np.flatnonzero(shown)[::7]
    kept = ~np.isin(data.matrix.indices, hidden)
    matrix = Csr.from_pairs(
        data.matrix.row_of_entry[kept], data.matrix.indices[kept], n_rows=300, n_columns=150
    )
    view = replace(data, matrix=matrix)
    ids = np.setdiff1d(np.arange(150), hidden)
    smaller = hr.Interactions(
        view.users, type(view.items)(pa.array(ids)),
        Csr.from_pairs(matrix.row_of_entry, np.searchsorted(ids, matrix.indices),
                       n_rows=300, n_columns=len(ids)), None, view.report,
    )  # fmt: skip
    before = buckets(smaller, method, 64)
    after = before.extend(data)
    assert after.items.buckets[: len(ids)].tobytes() == before.items.buckets.tobytes()
    truth = made.item_communities
    rows = after.items.buckets[after.items.positions(pa.array(np.arange(150))), 0]
    others = np.setdiff1d(np.flatnonzero(shown), hidden)
    for item in hidden:
        assert truth[item] in truth[others][rows[others] == rows[item]]


@pytest.mark.parametrize("method", GRAPH_METHODS)
def test_extension_survives_the_files(method: str, tmp_path: Path) -> None:
    found = buckets(log(), method, 0.3)
    later = hr.read(pa.table({"user": [1000, 1000, 1001], "item": [3, 9, 3]}))
    save_buckets(found, tmp_path / "b.parquet")
    again = load_buckets(tmp_path / "b.parquet")
    assert again.fingerprint() == found.fingerprint()
    assert again.extend(later).fingerprint() == found.extend(later).fingerprint()
    assert len(again.extend(later).users) == 302


# The methods.


def test_double_graph_adds_a_hash_over_the_whole_table() -> None:
    plain, double = buckets(log(), "graph", 0.3), buckets(log(), "double-graph", 0.3)
    assert (double.users.buckets[:, 1] == plain.users.buckets[:, 0]).all()
    assert double.users.rows == plain.users.rows
    hashed = double.users.rules[0].place(Arrivals(double.users.ids, 0))
    assert (double.users.buckets[:, 0] == hashed).all()
    assert len(set(hashed.tolist())) > plain.users.rows / 2


def test_balanced_takes_the_second_best_by_brute_force() -> None:
    data = log(noise=0.5)
    found = buckets(data, "balanced", 0.2)
    assert (found.users.ways, found.items.ways, found.users.combiner) == (2, 1, "mean")
    rule = found.users.rules[0]
    assert isinstance(rule, Neighbours)
    for user in range(0, 300, 17):
        row = data.matrix.row(user)
        strength = rule.scale * len(row) ** rule.exponent
        homes = rule.homes[row]
        own = found.users.buckets[user, 0]
        gains = {
            int(home): float((homes == home).sum() - rule.rate * strength * rule.load[home])
            for home in set(homes.tolist()) - {-1, int(own)}
        }
        best = min(gains, key=lambda home: (-gains[home], home)) if gains else own
        assert found.users.buckets[user, 1] == best
    both = buckets(data, {"name": "balanced", "second": "both"}, 0.2)
    assert both.items.ways == 2


def test_item_buckets_are_more_alike_where_item_degrees_count_less() -> None:
    data = hr.read("debian")
    barber = buckets(data, "graph", 0.1)
    balanced = buckets(data, "balanced", 0.1)
    assert balanced.items.sizes.std() < 0.9 * barber.items.sizes.std()


def test_a_pyramid_is_its_levels_stacked() -> None:
    found = buckets(log(), "pyramid", 0.5)
    assert found.users.ways == found.items.ways == 4
    assert len(found.facts["levels"]) == 4
    gammas = [level["gamma"] for level in found.facts["levels"]]
    assert gammas == sorted(gammas)
    for side in (found.users, found.items):
        ranges = [(column.min(), column.max()) for column in side.buckets.T]
        assert all(low[1] < high[0] for low, high in itertools.pairwise(ranges))
        assert len(np.unique(side.buckets, axis=0)) > len(set(side.buckets[:, 3].tolist()))


@pytest.mark.parametrize("method", [*GRAPH_METHODS, "lsh-structure", "modulo"])
def test_tied_sides_are_one(method: str) -> None:
    matrix = log().to_scipy()
    together = (matrix.T @ matrix).tocsr()
    found = buckets(together, method, 0.5, tied=True)
    assert found.users.buckets.tobytes() == found.items.buckets.tobytes()
    assert found.rows <= 150


# Drift.


def test_nothing_has_drifted_where_nothing_has_changed() -> None:
    found = buckets(log(), {"name": "graph", "gamma": 5.0})
    told = drift(found, log())
    assert told.now == pytest.approx(told.fresh, rel=0.02)
    assert not told.pays()
    assert (told.new_users, told.new_items) == (0, 0)


def test_another_world_pays() -> None:
    found = buckets(log(seed=0), "graph", 0.2)
    told = drift(found, log(seed=9))
    assert told.now < told.fresh
    assert told.pays()
    assert told.lost == pytest.approx(1 - told.now / told.fresh)
    assert told.to_dict()["pays"] is True


@pytest.mark.parametrize("method", ["leiden", "double-graph", "balanced", "pyramid"])
def test_every_graph_method_can_tell_its_drift(method: str) -> None:
    assert drift(buckets(log(), method, 0.3), log()).lost < 0.2


def test_hashes_do_not_drift() -> None:
    with pytest.raises(UsageError, match="modulo: there is nothing to drift; expected buckets fou"):
        drift(buckets(log(), "modulo", 0.3), log())


def test_an_assignment_says_what_is_wrong_with_it() -> None:
    good = buckets(log(), "graph", 0.3).users
    with pytest.raises(ValueError, match="300 ids but buckets for 299"):
        Assignment("user", good.ids, good.buckets[:-1], good.rows, good.rules)
    with pytest.raises(ValueError, match=r"buckets must lie in \[0, 2\)"):
        replace(good, rows=2)
    with pytest.raises(ValueError, match="weights come with the combiner"):
        replace(good, combiner="weighted")
