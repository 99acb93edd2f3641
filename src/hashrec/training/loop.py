"""The training loop: steps, evaluations, stopping, and going on after a kill."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from hashrec.errors import UsageError
from hashrec.learning import Training
from hashrec.progress import SILENT, Progress
from hashrec.training.backbone import Backbone
from hashrec.training.batches import Batches
from hashrec.training.everything import precision_of
from hashrec.training.keeping import Keeper

__all__ = ["Outcome", "Run", "Watch"]

Watch = Callable[[Any, Any], Mapping[str, float]]
Event = Mapping[str, Any]

_METRIC = "recall@20"
_KEEP_EVERY = 60.0  # seconds between checkpoints; one is kept at every evaluation, too
_ADAM = ("exp_avg", "exp_avg_sq", "step")


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


@dataclass(eq=False)
class Run:
    """One model being trained.

    Every step is a function of the seed, the epoch, the step and the state kept, so a run that
    was killed and taken up again gives the bits of one that was not.

    Attributes:
        module: what is trained, in place. batches: its steps. options: of the loop.
        stop: epochs to run, of the `options.epochs` that the schedule is made for.
        watch: (users, items) vectors -> metrics with `recall@20`; None: nobody looks.
        before_epoch: called with the module, to refresh what batches draw from.
        keeper: where checkpoints go. tell: told of every event, a JSON-ready mapping.
        section: of the recipe, whose learning rate this is; for messages.
    """

    module: Backbone
    batches: Batches
    options: Training
    stop: int
    watch: Watch | None = None
    before_epoch: Callable[[Backbone], None] | None = None
    keeper: Keeper | None = None
    tell: Callable[[Event], None] = lambda event: None
    progress: Progress = SILENT
    section: str = "training"

    def __post_init__(self) -> None:
        self.outcome = Outcome()
        self._best: dict[str, Any] = {}
        self._named = dict(self.module.named_parameters())
        self._adam = torch.optim.Adam(
            list(self._named.values()), lr=self.options.learning_rate, fused=True
        )
        self._kept = time.monotonic()
        self._precision = precision_of(self.options.precision, self.options.device)

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
        if self.watch is not None and ((epoch + 1) % self.options.every == 0
                                       or epoch + 1 == self.stop):  # fmt: skip
            self._judge(mean)
        elif time.monotonic() > self._kept + _KEEP_EVERY:
            self._keep()

    def step(self, order: Any, epoch: int, step: int) -> float:
        """One step; every `accumulate` of them, and at the end of an epoch, the tables move."""
        start = step - step % self.options.accumulate
        end = min(start + self.options.accumulate, len(self.batches))
        if step == start:
            self._adam.zero_grad(set_to_none=True)
        batch = self.batches.batch(order, epoch, step)
        view = self.module()
        view.precision = self._precision
        loss = self.batches.loss(view, batch) + view.extra(batch)
        if self.options.decay:
            loss = loss + self.options.decay * self.module.squares(batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._diverged(epoch, step, value)
        (loss / (end - start)).backward()
        if step + 1 == end:
            for group in self._adam.param_groups:
                group["lr"] = self._rate(epoch, step)
            self._adam.step()
        return value

    def _rate(self, epoch: int, step: int) -> float:
        """The learning rate of a step: up in a line, down along half a cosine."""
        steps = self.options.epochs * len(self.batches)
        at = epoch * len(self.batches) + step
        rate = self.options.learning_rate * min(
            1.0, (at + 1) / max(1.0, self.options.warmup * steps)
        )
        if self.options.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * at / steps))
        return rate

    def _judge(self, loss: float) -> None:
        assert self.watch is not None
        outcome = self.outcome
        users, items = self.module.export()
        metrics = dict(self.watch(users.cpu().numpy(), items.cpu().numpy()))
        found = metrics[_METRIC]
        outcome.history.append({"epoch": outcome.epoch, "loss": loss, **metrics})
        if found > outcome.best:
            outcome.best, outcome.best_epoch, outcome.bad = found, outcome.epoch, 0
            if not self.options.refit:
                self._best = {name: one.detach().clone() for name, one in self._named.items()}
        else:
            outcome.bad += 1
        outcome.done = outcome.bad >= self.options.patience
        self.progress.note(
            f"epoch {outcome.epoch}: loss {loss:.4f}, valid {_METRIC} {found:.4f}"
            f"{'' if outcome.bad else ', the best so far'} ({outcome.seconds:.0f} s)"
        )
        self.tell({"event": "evaluation", "epoch": outcome.epoch, "loss": loss, **metrics,
                   "best_epoch": outcome.best_epoch})  # fmt: skip
        self._keep()

    def _diverged(self, epoch: int, step: int, value: float) -> UsageError:
        hint = self._slower
        if epoch == 0 and step < self.options.accumulate:  # no rate has moved anything yet
            hint = f"check the other settings of {self.section}.loss and of the encoder, and the "
            hint += "data"
        return UsageError(
            f"the loss became {value} at step {step + 1} of epoch {epoch + 1}",
            name=f"loss {self.batches.loss.name}",
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
        for name, one in self._named.items():
            state = self._adam.state[one]
            tensors |= {f"adam.{name}.{key}": state[key] for key in _ADAM if key in state}
            if self.options.accumulate > 1 and one.grad is not None:  # it may be half collected
                tensors[f"grad.{name}"] = one.grad
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
                if f"adam.{name}.step" in kept.tensors:
                    state = {key: kept.tensors[f"adam.{name}.{key}"] for key in _ADAM}
                    self._adam.state[one] = {key: _beside(one, on) for key, on in state.items()}
                if f"grad.{name}" in kept.tensors:
                    one.grad = _beside(one, kept.tensors[f"grad.{name}"])
                if f"best.{name}" in kept.tensors:
                    self._best[name] = kept.tensors[f"best.{name}"].to(one.device)
        self.progress.note(
            f"going on after epoch {self.outcome.epoch}, step {self.outcome.step}: "
            f"{self.keeper.path if self.keeper else ''}"
        )


def _beside(one: Any, kept: Any) -> Any:
    """A kept tensor on the parameter's device, and laid out in memory as the parameter is.

    Checkpoints keep rows; fused Adam walks memory in its own order, whatever the strides are.
    """
    if kept.shape != one.shape:  # Adam's count of steps
        return kept.to(one.device)
    return torch.empty_like(one, dtype=kept.dtype, requires_grad=False).copy_(kept)
