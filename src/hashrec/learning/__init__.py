"""What learning is asked for, without torch: losses, samplers, tables, the options of the loop."""

from hashrec.learning.loss import Batch, Loss, View
from hashrec.learning.losses import LOSSES
from hashrec.learning.options import Training
from hashrec.learning.samplers import SAMPLERS, Sampler, Source
from hashrec.learning.table import Table
from hashrec.learning.task import Task

__all__ = [
    "LOSSES", "SAMPLERS", "Batch", "Loss", "Sampler", "Source", "Table", "Task", "Training", "View",
]  # fmt: skip
