"""Against libraries others wrote: trec_eval on lists without ties, scikit-learn on tied NDCG."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import pytrec_eval
from sklearn.metrics import ndcg_score

from hashrec.csr import Csr
from hashrec.evaluation import evaluate
from hashrec.evaluation.oracle import rank_everything

N_USERS, N_ITEMS = 40, 60
KS = [1, 5, 20, 50]


def random_rows(rng: np.random.Generator, share: float, *, but: npt.NDArray[np.bool_]) -> Csr:
    rows, columns = np.nonzero((rng.random((N_USERS, N_ITEMS)) < share) & ~but)
    return Csr.from_pairs(rows, columns, n_rows=N_USERS, n_columns=N_ITEMS)


def dense(rows: Csr) -> npt.NDArray[np.bool_]:
    marks = np.zeros((rows.n_rows, rows.n_columns), bool)
    marks[rows.row_of_entry, rows.indices] = True
    return marks


def test_trec_eval_agrees_without_ties() -> None:
    rng = np.random.default_rng(0)
    seen = random_rows(rng, 0.3, but=np.zeros((N_USERS, N_ITEMS), bool))
    truth = random_rows(rng, 0.15, but=dense(seen))
    unknown = rng.integers(0, 3, N_USERS)
    unknown[truth.lengths == 0] = 0  # trec_eval has no say on users with nothing to find
    scores = np.array([rng.permutation(N_ITEMS) for _ in range(N_USERS)], np.float32)
    ranking = rank_everything(scores, seen, truth, k=max(KS))
    ours = evaluate(ranking, truth, truth.lengths + unknown, ks=KS, n_items=N_ITEMS).per_user

    wanted, run = {}, {}
    for user in np.flatnonzero(truth.lengths):
        known = {str(item): 1 for item in truth.row(user)}
        wanted[str(user)] = known | {f"unknown {i}": 1 for i in range(unknown[user])}
        unseen = np.setdiff1d(np.arange(N_ITEMS), seen.row(user))
        run[str(user)] = {str(item): float(scores[user, item]) for item in unseen}
    cuts = ",".join(map(str, KS))
    measures = {"recip_rank", *(f"{m}.{cuts}" for m in ("P", "recall", "ndcg_cut", "success"))}
    theirs = pytrec_eval.RelevanceEvaluator(wanted, measures).evaluate(run)
    names = {"precision": "P", "recall": "recall", "ndcg": "ndcg_cut", "hit_rate": "success"}

    assert len(theirs) > 30
    for user, values in theirs.items():
        for k in KS:
            for our_name, their_name in names.items():
                found = ours[f"{our_name}@{k}"][int(user)]
                assert found == pytest.approx(values[f"{their_name}_{k}"], abs=1e-9)
            uncut = values["recip_rank"]
            first_in_time = uncut > 0 and round(1 / uncut) <= k
            found = ours[f"mrr@{k}"][int(user)]
            assert found == pytest.approx(uncut if first_in_time else 0.0, abs=1e-9)


@pytest.mark.parametrize("levels", [1, 2, 5, 20])
def test_scikit_learn_averages_ndcg_over_ties_alike(levels: int) -> None:
    # No seen items, and all of T known: there the two definitions are one.
    rng = np.random.default_rng(levels)
    truth = random_rows(rng, 0.15, but=np.zeros((N_USERS, N_ITEMS), bool))
    scores = rng.integers(0, levels, (N_USERS, N_ITEMS)).astype(np.float32)
    ranking = rank_everything(scores, Csr.empty(N_USERS, N_ITEMS), truth, k=max(KS))
    report = evaluate(ranking, truth, truth.lengths, ks=KS, n_items=N_ITEMS)
    users = truth.lengths > 0
    for k in KS:
        theirs = ndcg_score(dense(truth)[users], scores[users], k=k)
        assert report.metrics[f"ndcg@{k}"] == pytest.approx(theirs, abs=1e-9)
