"""Codes: packed vectors and all that decodes them, as one frozen object."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hashrec.codes.basis import Basis
from hashrec.codes.decoder import Decoder
from hashrec.codes.packing import row_bytes, unpack
from hashrec.codes.rotation import Rotation

__all__ = ["Codes"]


@dataclass(frozen=True, eq=False)
class Codes:
    """n vectors of `dim` dimensions at `bits` bits each.

    Up to 8 bits, code c of a dimension stands for the odd integer level 2c - (2^bits - 1), and
    the vector is scale * level: symmetric around zero, without a zero, and at one bit exactly
    {-1, +1}. With a decoder it is scale * decoder(level). At 16 and 32 bits the data are the floats
    themselves.

    Attributes:
        data: (n, row_bytes) uint8, packed as `packing` says; or (n, dim) float16 / float32.
        bits: 1..8, 16 or 32.
        dim: length of the vectors before packing.
        scales: (n,) float32 > = 0, or None where every scale is 1 (and for floats).
        rotation: the space the codes live in, where searches are made: rotation.inverse brings
            what they decode to back to the encoder's, rotation.apply brings queries here.
        decoder: of packed codes, or None where a level stands for itself.
    """

    data: npt.NDArray[np.uint8] | npt.NDArray[np.float16] | npt.NDArray[np.float32]
    bits: int
    dim: int
    scales: npt.NDArray[np.float32] | None
    rotation: Rotation | Basis
    decoder: Decoder | None = None

    bit_order: ClassVar[str] = "little"

    def __post_init__(self) -> None:
        dtype = {32: np.float32, 16: np.float16}.get(self.bits, np.uint8)
        if self.bits not in (*range(1, 9), 16, 32) or self.data.dtype != dtype:
            raise ValueError(f"codes of {self.bits} bits cannot be {self.data.dtype}")
        width = row_bytes(self.dim, self.bits) if self.packed else self.dim
        if self.data.ndim != 2 or self.data.shape[1] != width:
            raise ValueError(f"rows must be {width} long, got an array of {self.data.shape}")
        if self.scales is not None and (
            self.scales.shape != (len(self),) or self.scales.dtype != np.float32
        ):
            raise ValueError(f"scales must be ({len(self)},) float32")
        if self.rotation.dim != self.dim:
            raise ValueError(f"a rotation of {self.rotation.dim} for codes of {self.dim}")
        if self.decoder is not None and (not self.packed or len(self.decoder) != self.dim):
            raise ValueError(
                f"a decoder of {len(self.decoder)} for {self.bits}-bit codes of {self.dim}"
            )

    def __len__(self) -> int:
        return len(self.data)

    @property
    def packed(self) -> bool:
        """Whether the data are packed integers, not floats."""
        return self.bits <= 8

    @property
    def n_bytes(self) -> int:
        """Bytes of data, scales, decoder and basis, padding included."""
        scales = 0 if self.scales is None else self.scales.nbytes
        return self.data.nbytes + scales + self.shared_bytes

    @property
    def shared_bytes(self) -> int:
        """Bytes kept once for all rows: of the decoder and the basis."""
        return (0 if self.decoder is None else self.decoder.n_bytes) + self.rotation.n_bytes

    @property
    def bytes_per_row(self) -> int:
        """Bytes a vector, its scale included."""
        scale = 0 if self.scales is None else self.scales.itemsize
        return int(self.data.shape[1] * self.data.itemsize + scale)

    @property
    def norms(self) -> npt.NDArray[np.float32]:
        """(n,) float32, the Euclidean length of each decoded vector."""
        vectors = self.decode() if isinstance(self.rotation, Rotation) else self.restore()
        norms: npt.NDArray[np.float64] = np.linalg.norm(vectors.astype(np.float64), axis=1)
        return norms.astype(np.float32)

    def take(self, rows: npt.NDArray[np.integer]) -> Codes:
        """The named rows as codes of their own."""
        scales = None if self.scales is None else self.scales[rows]
        return replace(self, data=self.data[rows], scales=scales)

    def levels(self) -> npt.NDArray[np.int16]:
        """(n, dim) int16, the odd integers in [-(2^bits - 1), 2^bits - 1]; packed codes only."""
        if not self.packed:
            raise ValueError(f"codes of {self.bits} bits are floats and have no levels")
        values = unpack(np.asarray(self.data, np.uint8), self.bits, self.dim)
        return 2 * values.astype(np.int16) - np.int16(2**self.bits - 1)

    def decode(self) -> npt.NDArray[np.float32]:
        """(n, dim) float32 in the rotated space, where searches are made."""
        if not self.packed:
            return self.data.astype(np.float32)
        levels = self.levels().astype(np.float32)
        if self.decoder is not None:
            levels = self.decoder(levels)
        return levels if self.scales is None else levels * self.scales[:, None]

    def restore(self, *, steady: bool = False) -> npt.NDArray[np.float32]:
        """(n, d) float32 in the encoder's own space: `decode`, brought back. `steady`: see
        `Rotation`."""
        return self.rotation.inverse(self.decode(), steady=steady)
