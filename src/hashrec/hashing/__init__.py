"""Learning to hash: codes trained in the loop of their encoder. Needs the extra `train`."""

from hashrec.codes import Coder, FloatCodes, IntCodes, SignCodes, TransformCodes
from hashrec.component import Registry
from hashrec.hashing.bgch import BgchCodes
from hashrec.hashing.bigear import BigearCodes
from hashrec.hashing.hashgnn import HashGnnCodes
from hashrec.hashing.hashlgn import HashLgnCodes
from hashrec.hashing.hq import HqCodes
from hashrec.hashing.learned import LearnedCoder
from hashrec.hashing.outcome import Learned
from hashrec.hashing.ste import SteCodes
from hashrec.hashing.tuned import TunedCodes

# All codes a recipe can name: without training, and learned.
CODES: Registry[Coder] = Registry(
    "codes", FloatCodes, IntCodes, SignCodes, TransformCodes, TunedCodes, SteCodes, HqCodes,
    HashGnnCodes, HashLgnCodes, BigearCodes, BgchCodes,
)  # fmt: skip

__all__ = [
    "CODES",
    "BgchCodes",
    "BigearCodes",
    "HashGnnCodes",
    "HashLgnCodes",
    "HqCodes",
    "Learned",
    "LearnedCoder",
    "SteCodes",
    "TunedCodes",
]  # fmt: skip
