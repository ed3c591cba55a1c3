"""Callbacks for the parameter `callbacks`, beside skorch's."""

import skae._dependencies  # noqa: F401 - before anything else is loaded

from skae._training.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
