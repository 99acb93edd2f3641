"""Codes whose training was killed go on to the same bits, and from nobody else's checkpoint."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hashing_cases import DIM, LEARNED, TRAIN, recipe

from hashrec.codes import Codes
from hashrec.encoders import Encoding
from hashrec.errors import ModelError
from hashrec.hashing import fit
from hashrec.recommender import Recommender
from hashrec.training import loop

EPOCHS = 4


class Stop(Exception):
    """The kill."""


def coded(
    encoding: Encoding, codes: Mapping[str, Any], folder: Path | None = None, kill: int = 0,
    **more: Any,
) -> tuple[Recommender, list[int]]:  # fmt: skip
    """A model, and the epochs it took; killed after epoch `kill`, ahead of its checkpoint."""
    epochs: list[int] = []

    def listen(event: Mapping[str, Any]) -> None:
        if event["event"] == "epoch":
            epochs.append(event["epoch"])
            if event["epoch"] == kill:
                raise Stop

    whole = {"epochs": EPOCHS, "learning_rate": 0.05, "users": "float", **codes}
    model = Recommender(recipe("mf", whole, **more))
    model.code(TRAIN, encoding, folder=folder, listeners=[listen])
    return model, epochs


def parts(codes: Codes | None) -> list[bytes]:
    assert codes is not None
    decoder = [] if codes.decoder is None else [codes.decoder.gain, codes.decoder.offset]
    arrays = [codes.data, *([] if codes.scales is None else [codes.scales]), *decoder]
    return [array.tobytes() for array in arrays]


LONGER = {name: {"dim": 3 * DIM} for name in ("ste", "hashgnn", "hashlgn", "bgch")}
AS_LONG = {name: {"dim": DIM} for name in LONGER}
CASES = [(name, more) for name in LEARNED
         for more in (([LONGER[name], AS_LONG[name]]) if name in LONGER else [{}])]  # fmt: skip


@pytest.mark.parametrize(("name", "more"), CASES, ids=str)
def test_a_killed_run_ends_in_the_bits_of_one_never_stopped(
    encodings: dict[str, Encoding], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str,
    more: dict[str, Any],
) -> None:  # fmt: skip
    """Bug: maps at least as long as the vectors lay in memory by columns, and Adam's moments came
    back by rows; fused Adam then paired each number with another's moments."""
    monkeypatch.setattr(loop, "_KEEP_EVERY", -1.0)
    codes = {"name": name, **more}
    whole, epochs = coded(encodings["mf"], codes)
    assert epochs == [1, 2, 3, 4]
    with pytest.raises(Stop):
        coded(encodings["mf"], codes, tmp_path, kill=3)
    again, epochs = coded(encodings["mf"], codes, tmp_path)
    assert epochs == [3, 4]  # two were in the checkpoint
    assert parts(again.fitted.item_codes) == parts(whole.fitted.item_codes)
    assert parts(again.fitted.user_codes) == parts(whole.fitted.user_codes)


class TestTheIdentity:
    """A checkpoint of another run is refused, whatever the difference is."""

    @pytest.fixture
    def folder(
        self, encodings: dict[str, Encoding], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Path:
        monkeypatch.setattr(loop, "_KEEP_EVERY", -1.0)
        coded(encodings["mf"], {"name": "ste"}, tmp_path)
        return tmp_path

    def refused(self, encoding: Encoding, folder: Path, **more: Any) -> None:
        with pytest.raises(ModelError, match="this recipe and these data; got another's"):
            coded(encoding, {"name": "ste", **more.pop("codes", {})}, folder, **more)

    def test_the_same_goes_on(self, encodings: dict[str, Encoding], folder: Path) -> None:
        assert coded(encodings["mf"], {"name": "ste"}, folder)[1] == []

    @pytest.mark.parametrize("codes", [{"learning_rate": 0.04}, {"estimator": "dirac"}], ids=str)
    def test_codes(
        self, encodings: dict[str, Encoding], folder: Path, codes: dict[str, Any]
    ) -> None:
        self.refused(encodings["mf"], folder, codes=codes)

    def test_seed(self, encodings: dict[str, Encoding], folder: Path) -> None:
        self.refused(encodings["mf"], folder, seed=1)

    def test_start(self, encodings: dict[str, Encoding], folder: Path) -> None:
        """The same encoder with other weights."""
        trained = encodings["mf"].model
        module = copy.deepcopy(trained.module)
        module.item_table.weight.data[0, 0] += 1
        self.refused(replace(encodings["mf"], model=replace(trained, module=module)), folder)

    def test_precision(
        self, encodings: dict[str, Encoding], folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`auto` is one thing here and another there."""
        monkeypatch.setattr(fit, "precision_of", lambda wanted, device: "another")
        self.refused(encodings["mf"], folder)

    @pytest.mark.parametrize("part", ["layers", "table", "features"])
    def test_encoder(self, encodings: dict[str, Encoding], folder: Path, part: str) -> None:
        """Bug: weights alone were compared, and layers and features are none."""
        trained = encodings["mf"].model
        other = replace(trained, identity={**trained.identity, part: "another"})
        self.refused(replace(encodings["mf"], model=other), folder)


def test_what_an_encoder_says_it_is(encodings: dict[str, Encoding]) -> None:
    said = encodings["lightgcn"].model.identity
    assert said["name"] == "lightgcn" and said["layers"] == 2 and said["layer_weights"] is None
    assert said["table"]["name"] == "table" and said["features"] == {}
