"""The losses, by name."""

from hashrec.component import Registry
from hashrec.learning.bpr import Bpr
from hashrec.learning.ccl import Ccl
from hashrec.learning.directau import DirectAU
from hashrec.learning.logistic import Logistic
from hashrec.learning.loss import Loss
from hashrec.learning.sampled_ccl import SampledCcl
from hashrec.learning.sampled_softmax import SampledSoftmax
from hashrec.learning.softmax import Softmax

__all__ = ["LOSSES"]

LOSSES: Registry[Loss] = Registry(
    "loss", Ccl, Softmax, Bpr, Logistic, DirectAU, SampledSoftmax, SampledCcl
)
