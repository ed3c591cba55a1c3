"""Types of public signatures."""

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import sparray, spmatrix
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from onnx import ModelProto
else:  # these are optional dependencies
    Axes = Colormap = Figure = ModelProto = Any

Activation: TypeAlias = Literal["identity", "logistic", "tanh", "relu", "gelu", "silu", "softplus"]
Loss: TypeAlias = Literal["squared_error", "absolute_error", "huber", "binary_cross_entropy", "poisson"]
Scale: TypeAlias = Literal["global", "standard"] | None
Init: TypeAlias = Literal["pca", "random"]
Cell: TypeAlias = Literal["lstm", "gru"]
Downsampling: TypeAlias = Literal["stride", "max_pool"]
Auto: TypeAlias = Literal["auto"]
CodeSize: TypeAlias = int | float | Literal["mle"] | None
LayerSizes: TypeAlias = Auto | int | Sequence[int] | NDArray[np.integer]
Seed: TypeAlias = int | np.random.RandomState | None
CrossValidator: TypeAlias = int | BaseCrossValidator | BaseShuffleSplit | Iterable[tuple[ArrayLike, ArrayLike]] | None
StrPath: TypeAlias = str | PathLike[str]

MatrixLike: TypeAlias = ArrayLike | spmatrix | sparray
# float32 or float64; a data frame after `set_output`, which is known only at run time
FloatArray: TypeAlias = NDArray[np.floating]

T = TypeVar("T")


def typed(decorator: Callable[..., Any]) -> Callable[[T], T]:
    """Return the decorator unchanged, typed such that decorated objects keep their types."""
    return decorator
