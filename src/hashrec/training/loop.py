"""The training loop: steps, evaluations, stopping, and going on after a kill."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import torch

from hashrec.errors import UsageError
from hashrec.progress import SILENT, Progress
from hashrec.training.keeping import Keeper
from hashrec.training.optimiser import Optimiser

__all__ = ["Loop", "Outcome", "Steps"]

Event = Mapping[str, Any]

_KEEP_EVERY = 60.0  # seconds between checkpoints; one is kept at every evaluation, too


class Steps(Protocol):
    """What a loop goes through: epochs of as many steps each, made of their numbers alone."""

    def __len__(self) -> int:
        """Steps of an epoch."""

    def order(self, epoch: int) -> Any:
        """What `batch` wants to know of the epoch."""

    def batch(self, order: Any, epoch: int, step: int) -> Any:
        """Step `step` of the epoch whose `order` is given."""


@dataclass
class Outcome:
    """What a run has come to; JSON-ready, so it travels in checkpoints.

    Attributes:
        epoch, step: done so far; the step inside the epoch that comes next.
        loss: sum over the steps of this epoch. best, best_epoch: of the evaluations.
        bad: evaluations since the best. history: one entry an evaluation. seconds: of training.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    best: float = -math.inf
    best_epoch: int = 0
    bad: int = 0
    seconds: float = 0.0
    done: bool = False
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def told(self) -> dict[str, Any]:
        """What the journal says at the end."""
        return {
            "epochs": self.epoch,
            "best_epoch": self.best_epoch,
            "best": self.best if self.best_epoch else None,
            "seconds": round(self.seconds, 3),
        }


@dataclass(eq=False)
class Loop:
    """One model being trained.

    Every step is a function of the seed, the epoch, the step and the state kept, so a run that
    was killed and taken up again gives the bits of one that was not.

    Attributes:
        module: what is trained, in place. batches: its steps. options: of the loop.
        stop: epochs to run, of the `options.epochs` that the schedule is made for.
        before_epoch: called with the module, to refresh what batches draw from.
        keeper: where checkpoints go. tell: told of every event, a JSON-ready mapping.
        section: of the recipe, whose learning rate this is; for messages.
        metric: of `measured`, the one that training is stopped by: larger is better.
    """

    module: Any
    batches: Any
    options: Any
    stop: int
    before_epoch: Callable[[Any], None] | None = None
    keeper: Keeper | None = None
    tell: Callable[[Event], None] = lambda event: None
    progress: Progress = SILENT
    section: str = "training"

    metric: ClassVar[str]

    def __post_init__(self) -> None:
        self.outcome = Outcome()
        self._best: dict[str, Any] = {}
        self._named = dict(self.module.named_parameters())
        self._optimiser = Optimiser(self._named, self.module, self.options.learning_rate)
        self._kept = time.monotonic()

    @abstractmethod
    def loss(self, batch: Any) -> Any:
        """What a step makes small: a tensor of one number."""

    @property
    @abstractmethod
    def watched(self) -> bool:
        """Whether anybody looks at `measured`."""

    @abstractmethod
    def measured(self) -> Mapping[str, float]:
        """How good the module is now."""

    @property
    @abstractmethod
    def loss_name(self) -> str:
        """For messages."""

    @property
    def other_settings(self) -> str:
        """What to look at where the very first loss is no number."""
        return f"check the other settings of {self.section}, and the data"

    @property
    def keeps_best(self) -> bool:
        """Whether the weights of the best evaluation are wanted at the end."""
        return True

    def train(self) -> Outcome:
        """Runs to the end; the module is left as at the best evaluation, or as at the last step
        where nobody watched."""
        self._take_up()
        outcome = self.outcome
        self.progress.start("training", self.stop)
        self.progress.advance(outcome.epoch)
        while not outcome.done and outcome.epoch < self.stop:
            self._epoch()
            self.progress.advance()
        outcome.done = True
        if self._best:
            self.module.load_state_dict(self._best, strict=False)
        return outcome

    def _epoch(self) -> None:
        outcome, epoch = self.outcome, self.outcome.epoch
        if self.before_epoch is not None:
            self.before_epoch(self.module)
        order = self.batches.order(epoch)
        for step in range(outcome.step, len(self.batches)):
            began = time.perf_counter()
            outcome.loss += self.step(order, epoch, step)
            outcome.step = step + 1
            outcome.seconds += time.perf_counter() - began
            if self.before_epoch is None and time.monotonic() > self._kept + _KEEP_EVERY:
                self._keep()
        if epoch + 1 == self.stop:
            self._check_finite(epoch)
        mean = outcome.loss / len(self.batches)
        outcome.epoch, outcome.step, outcome.loss = epoch + 1, 0, 0.0
        self.tell({"event": "epoch", "epoch": epoch + 1, "loss": mean,
                   "rate": self._rate(epoch, len(self.batches) - 1),
                   "seconds": round(outcome.seconds, 3)})  # fmt: skip
        if self.watched and ((epoch + 1) % self.options.every == 0
                                       or epoch + 1 == self.stop):  # fmt: skip
            self._judge(mean)
        elif time.monotonic() > self._kept + _KEEP_EVERY:
            self._keep()

    def step(self, order: Any, epoch: int, step: int) -> float:
        """One step; every `accumulate` of them, and at the end of an epoch, the tables move."""
        start = step - step % self.options.accumulate
        end = min(start + self.options.accumulate, len(self.batches))
        if step == start:
            self._optimiser.forget()
        loss = self.loss(self.batches.batch(order, epoch, step))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._diverged(epoch, step, value)
        (loss / (end - start)).backward()
        if step + 1 == end:
            self._optimiser.step(self._rate(epoch, step))
        return value

    def _rate(self, epoch: int, step: int) -> float:
        """The learning rate of a step: up in a line, down along half a cosine."""
        steps = self.options.epochs * len(self.batches)
        at = epoch * len(self.batches) + step
        rising = min(1.0, (at + 1) / max(1.0, self.options.warmup * steps))
        rate: float = self.options.learning_rate * rising
        if self.options.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * at / steps))
        return rate

    def _judge(self, loss: float) -> None:
        outcome = self.outcome
        metrics = dict(self.measured())
        if not all(map(math.isfinite, metrics.values())):
            self._check_finite(outcome.epoch - 1)
            raise UsageError("what was measured is not finite", name=self.loss_name,
                             got=str(metrics), fix=self._slower)  # fmt: skip
        found = metrics[self.metric]
        outcome.history.append({"epoch": outcome.epoch, "loss": loss, **metrics})
        if found > outcome.best:
            outcome.best, outcome.best_epoch, outcome.bad = found, outcome.epoch, 0
            if self.keeps_best:
                self._best = {name: one.detach().clone() for name, one in self._named.items()}
        else:
            outcome.bad += 1
        outcome.done = outcome.bad >= self.options.patience
        self.progress.note(
            f"epoch {outcome.epoch}: loss {loss:.4f}, valid {self.metric} {found:.4f}"
            f"{'' if outcome.bad else ', the best so far'} ({outcome.seconds:.0f} s)"
        )
        self.tell({"event": "evaluation", "epoch": outcome.epoch, "loss": loss, **metrics,
                   "best_epoch": outcome.best_epoch})  # fmt: skip
        self._keep()

    def _diverged(self, epoch: int, step: int, value: float) -> UsageError:
        hint = self._slower
        if epoch == 0 and step < self.options.accumulate:  # no rate has moved anything yet
            hint = self.other_settings
        return UsageError(
            f"the loss became {value} at step {step + 1} of epoch {epoch + 1}",
            name=f"loss {self.loss_name}",
            expected="a finite number",
            fix=hint,
        )

    def _check_finite(self, epoch: int) -> None:
        """Raises UsageError for weights that are no numbers: after the last step there is no loss
        that would show them."""
        for name, one in self._named.items():
            if not bool(torch.isfinite(one).all()):
                raise UsageError(
                    f"weights became infinite or no numbers in epoch {epoch + 1}", name=name,
                    expected="finite numbers", fix=self._slower,
                )  # fmt: skip

    @property
    def _slower(self) -> str:
        rate = self.options.learning_rate
        return f"take a smaller {self.section}.learning_rate than {rate:g}"

    # --- checkpoints --------------------------------------------------------------------------

    def _keep(self) -> None:
        self._kept = time.monotonic()
        if self.keeper is None:
            return
        tensors = {f"now.{name}": one for name, one in self._named.items()}
        tensors |= {f"best.{name}": one for name, one in self._best.items()}
        for name in self._named:
            tensors |= self._optimiser.kept(name)
            if self.options.accumulate > 1:  # a group of steps may be half collected
                tensors |= self._optimiser.collected(name)
        self.keeper.save(tensors, vars(self.outcome))

    def _take_up(self) -> None:
        """Goes on from the checkpoint, if there is one."""
        kept = None if self.keeper is None else self.keeper.load()
        if kept is None:
            return
        self.outcome = Outcome(**kept.facts)
        with torch.no_grad():
            for name, one in self._named.items():
                one.copy_(kept.tensors[f"now.{name}"])
                self._optimiser.take_up(name, kept.tensors)
                if f"best.{name}" in kept.tensors:
                    self._best[name] = kept.tensors[f"best.{name}"].to(one.device)
        self.progress.note(
            f"going on after epoch {self.outcome.epoch}, step {self.outcome.step}: "
            f"{self.keeper.path if self.keeper else ''}"
        )
