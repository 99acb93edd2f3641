"""Checkpoints: what is kept comes back, what is damaged or another's is refused, a full disk
leaves the old one."""

from __future__ import annotations

import errno
import hashlib
import math
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from hashrec.errors import ModelError, OutputError
from hashrec.training import keeping
from hashrec.training.keeping import Keeper

TENSORS = {
    "now.weight": torch.arange(12, dtype=torch.float32).reshape(3, 4),
    "adam.step": torch.tensor(7.0),
    "odd": torch.tensor([math.nan, math.inf, -0.0]),
    "ids": torch.tensor([2**40, -1]),
}
FACTS = {"epoch": 3, "best": -math.inf, "loss": 0.1 + 0.2, "history": [{"recall@20": 1 / 3}]}


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(tmp_path / "deep" / "run.safetensors", {"seed": 3, "data": "abc"})


class TestBackAndForth:
    def test_nothing_is_kept_at_first(self, keeper: Keeper) -> None:
        assert keeper.load() is None

    def test_bits_types_and_facts(self, keeper: Keeper) -> None:
        keeper.save(TENSORS, FACTS)
        kept = keeper.load()
        assert kept is not None
        assert kept.facts == FACTS
        assert set(kept.tensors) == set(TENSORS)
        for name, one in TENSORS.items():
            assert kept.tensors[name].dtype == one.dtype
            assert kept.tensors[name].shape == one.shape
            assert kept.tensors[name].numpy().tobytes() == one.numpy().tobytes()

    def test_the_last_one_stands_and_nothing_else(self, keeper: Keeper) -> None:
        keeper.save(TENSORS, FACTS)
        keeper.save({"other": torch.ones(2)}, {"epoch": 4})
        kept = keeper.load()
        assert kept is not None
        assert (list(kept.tensors), kept.facts) == (["other"], {"epoch": 4})
        assert [path.name for path in keeper.path.parent.iterdir()] == ["run.safetensors"]

    def test_parameters_and_views_are_kept_as_they_look(self, keeper: Keeper) -> None:
        weight = torch.nn.Parameter(torch.arange(6.0).reshape(2, 3))
        keeper.save({"turned": weight.T}, {})
        kept = keeper.load()
        assert kept is not None
        assert kept.tensors["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]

    @pytest.mark.parametrize(
        "one",
        [
            torch.ones(1, 1).expand(1, 1), torch.tensor([[3.0]]).as_strided((1, 1), (0, 0)),
            torch.zeros(0, 4), torch.tensor(2.5), torch.ones(2, 3, dtype=torch.bfloat16),
            torch.nn.Parameter(torch.arange(6.0).reshape(2, 3).T),
        ],
        ids=["expanded", "stride 0", "none", "number", "bfloat16", "turned parameter"],
    )  # fmt: skip
    def test_any_tensor_has_a_checksum(self, keeper: Keeper, one: Any) -> None:
        """Bug: tables of one number have strides that torch does not see as bytes."""
        plain = torch.empty(one.shape, dtype=one.dtype).copy_(one.detach())
        assert keeping.checksum({"a": one}) == keeping.checksum({"a": plain})
        assert keeping.checksum({"a": one}) != keeping.checksum({"b": one})
        keeper.save({"a": one}, {})
        kept = keeper.load()
        assert kept is not None and torch.equal(kept.tensors["a"], plain)

    def test_a_checksum_is_of_the_bytes(self) -> None:
        """By hashlib: names and rows, in the order of the names."""
        expected = hashlib.sha256(
            b"a" + np.float32([1, 2, 3, 4]).tobytes() + b"b" + np.int64([7]).tobytes()
        )
        tensors = {"b": torch.tensor([7]), "a": torch.tensor([[1.0, 3.0], [2.0, 4.0]]).T}
        assert keeping.checksum(tensors) == expected.hexdigest()

    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
    def test_a_checksum_does_not_depend_on_the_device(self) -> None:
        """Bug: tensors of a GPU ended in a traceback."""
        there = {name: one.cuda() for name, one in TENSORS.items()}
        assert keeping.checksum(there) == keeping.checksum(TENSORS)

    def test_removed_is_gone_and_may_be_removed_again(self, keeper: Keeper) -> None:
        keeper.save(TENSORS, FACTS)
        keeper.remove()
        keeper.remove()
        assert keeper.load() is None

    def test_the_order_of_an_identity_does_not_matter(self, keeper: Keeper) -> None:
        keeper.save(TENSORS, FACTS)
        turned = Keeper(keeper.path, dict(reversed(keeper.identity.items())))
        assert turned.load() is not None


def refused(words: str) -> Any:
    head = r"run\.safetensors: training cannot go on from this file; expected "
    return pytest.raises(ModelError, match=head + words)


class TestRefusals:
    @pytest.mark.parametrize(
        "identity",
        [{"seed": 4, "data": "abc"}, {"seed": 3}, {"seed": 3, "data": "abc", "more": None}, {}],
        ids=str,
    )
    def test_another_run(self, keeper: Keeper, identity: Any) -> None:
        keeper.save(TENSORS, FACTS)
        words = r"a checkpoint of this recipe and these data; got another's\. Start afresh with"
        with refused(words):
            Keeper(keeper.path, identity).load()

    @pytest.mark.parametrize("metadata", [None, {"format": "pt"}, {"format": "hashrec-checkpoint"}])
    def test_a_foreign_file(self, keeper: Keeper, metadata: Any) -> None:
        keeper.path.parent.mkdir()
        safetensors.torch.save_file({"a": torch.ones(2)}, keeper.path, metadata=metadata)
        with refused("a checkpoint; got (something else|pt|hashrec-checkpoint)\\. Start afresh"):
            keeper.load()

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: data[:7],
            lambda data: data[:40],
            lambda data: data[:-1],
            lambda data: data + b"\0",
            lambda data: b"\xff" * 8 + data[8:],
            lambda data: b"no tensors at all, but long enough to look like some of them",
            lambda data: data.replace(b'"F32"', b'"F99"'),
        ],
        ids=["empty", "7 bytes", "40 bytes", "end", "more", "length", "text", "type"],
    )
    def test_a_damaged_file(self, keeper: Keeper, damage: Callable[[bytes], bytes]) -> None:
        keeper.save(TENSORS, FACTS)
        keeper.path.write_bytes(damage(keeper.path.read_bytes()))
        with refused("a checkpoint that can be read; got .+Start afresh with --fresh"):
            keeper.load()

    def test_a_bit_that_fell_over_in_a_tensor(self, keeper: Keeper) -> None:
        keeper.save(TENSORS, FACTS)
        data = bytearray(keeper.path.read_bytes())
        data[-3] ^= 1
        keeper.path.write_bytes(data)
        with refused("a checkpoint as it was written; got other bytes"):
            keeper.load()

    @pytest.mark.parametrize("missing", ["identity", "facts", "tensors"])
    def test_a_header_without_its_parts(self, keeper: Keeper, missing: str) -> None:
        header = self._header(keeper, "{}")
        header.pop(missing)
        keeper.path.parent.mkdir()
        safetensors.torch.save_file({"a": torch.ones(2)}, keeper.path, metadata=header)
        with refused(f"a checkpoint that can be read; got '{missing}'"):
            keeper.load()

    @staticmethod
    def _header(keeper: Keeper, facts: str) -> dict[str, str]:
        return {
            "format": "hashrec-checkpoint 1", "identity": keeper._digest(), "facts": facts,
            "tensors": keeping.checksum({"a": torch.ones(2)}),
        }  # fmt: skip

    def test_facts_that_are_no_json(self, keeper: Keeper) -> None:
        header = self._header(keeper, "{")
        keeper.path.parent.mkdir()
        safetensors.torch.save_file({"a": torch.ones(2)}, keeper.path, metadata=header)
        with refused("a checkpoint that can be read; got Expecting"):
            keeper.load()

    def test_a_folder_in_its_place(self, keeper: Keeper) -> None:
        keeper.path.mkdir(parents=True)
        with refused("a checkpoint that can be read"):
            keeper.load()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The nearest to a full disk that a process may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestADiskWithoutRoom:
    def check(self, keeper: Keeper) -> None:
        """The old one still stands, alone."""
        kept = keeper.load()
        assert kept is not None
        assert kept.facts == FACTS
        assert kept.tensors["now.weight"].tolist() == TENSORS["now.weight"].tolist()
        assert [path.name for path in keeper.path.parent.iterdir()] == ["run.safetensors"]

    def test_half_a_file_is_taken_away(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def half(tensors: Any, path: Any, **more: Any) -> None:
            Path(path).write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")

        keeper.save(TENSORS, FACTS)
        monkeypatch.setattr("safetensors.torch.save_file", half)
        words = r"run\.safetensors: the checkpoint could not be written; got .*No space left"
        with pytest.raises(OutputError, match=words + ".* Make room, or train without"):
            keeper.save({"new": torch.ones(3)}, {"epoch": 9})
        self.check(keeper)

    def test_what_safetensors_makes_of_it(self, keeper: Keeper) -> None:
        """Bug: safetensors raises an error of its own, not OSError, and it came through bare."""
        keeper.save(TENSORS, FACTS)
        with (
            files_of_at_most(10_000),
            pytest.raises(OutputError, match="could not be written; got .*File too large"),
        ):
            keeper.save({"large": torch.ones(100_000)}, {"epoch": 9})
        self.check(keeper)

    def test_a_fault_ahead_of_the_swap(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fault(*arguments: Any) -> None:
            raise OSError(errno.EIO, "Input/output error")

        keeper.save(TENSORS, FACTS)
        for name in ("os.fsync", "os.replace"):
            with monkeypatch.context() as patch:
                patch.setattr(name, fault)
                with pytest.raises(OutputError, match="could not be written.*Input/output error"):
                    keeper.save({"new": torch.ones(3)}, {"epoch": 9})
            self.check(keeper)

    def test_a_kill_while_writing_leaves_the_old_one(
        self, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupted(tensors: Any, path: Any, **more: Any) -> None:
            Path(path).write_bytes(b"half of it")
            raise KeyboardInterrupt

        keeper.save(TENSORS, FACTS)
        monkeypatch.setattr("safetensors.torch.save_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            keeper.save({"new": torch.ones(3)}, {"epoch": 9})
        self.check(keeper)

    def test_a_file_where_the_folder_should_be(self, tmp_path: Path) -> None:
        """Bug: cleaning up what was never begun raised NotADirectoryError in its place."""
        (tmp_path / "taken").write_text("")
        with pytest.raises(OutputError, match="the checkpoint could not be written"):
            Keeper(tmp_path / "taken" / "run.safetensors", {}).save(TENSORS, FACTS)
