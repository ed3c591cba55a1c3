"""Callbacks for the parameter `callbacks`, in addition to those of skorch."""

import skae._dependencies  # noqa: F401 - must be imported first

from skae._training.checkpoint import Checkpoint

__all__ = ["Checkpoint"]
