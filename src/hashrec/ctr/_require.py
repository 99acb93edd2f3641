"""Importing this room without torch says what to install; `ctr` imports it first."""

from __future__ import annotations

from hashrec.training import _require as _require
