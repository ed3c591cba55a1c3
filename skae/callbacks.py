"""Callbacks for the parameter `callbacks`, beside skorch's."""

import skae._dependencies  # noqa: F401 - must be imported first

from skae._training.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
