"""Listeners that pass what happens in training on to other people's boards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hashrec.errors import MissingExtraError

__all__ = ["MlFlow", "TensorBoard"]


def _numbers(event: Mapping[str, Any]) -> dict[str, float]:
    """What can be drawn over epochs. MLflow takes no @ in a name."""
    return {
        f"{event['stage']}/{event['part']}/{key.replace('@', '_at_')}": float(value)
        for key, value in event.items()
        if isinstance(value, (int, float)) and key != "epoch"
    }


class TensorBoard:
    """Writes losses and metrics for TensorBoard. Needs the extra `tensorboard`."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ModuleNotFoundError as fault:
            raise MissingExtraError(
                "tensorboard is not installed", fix="run pip install 'hashrec[tensorboard]'"
            ) from fault
        self._writer = SummaryWriter(str(folder))

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] in ("epoch", "evaluation"):
            for name, value in _numbers(event).items():
                self._writer.add_scalar(name, value, event["epoch"])
            self._writer.flush()


class MlFlow:
    """Logs losses and metrics to the active MLflow run, or to one it starts. Extra `mlflow`."""

    def __init__(self) -> None:
        try:
            import mlflow
        except ModuleNotFoundError as fault:
            raise MissingExtraError(
                "mlflow is not installed", fix="run pip install 'hashrec[mlflow]'"
            ) from fault
        self._mlflow = mlflow

    def __call__(self, event: Mapping[str, Any]) -> None:
        if event["event"] == "start":
            prefix = f"{event['stage']}.{event['part']}"
            told = event.get("encoder") or event["model"]
            values = {f"{prefix}.{key}": value for key, value in told.items()}
            self._mlflow.log_params(values)
        if event["event"] in ("epoch", "evaluation"):
            self._mlflow.log_metrics(_numbers(event), step=event["epoch"])
