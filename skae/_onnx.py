"""Export of fitted autoencoders to ONNX, alone or as steps of a Pipeline that is converted by skl2onnx."""

import contextlib
import logging
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from sklearn.utils.validation import check_is_fitted

from skae._constraints import StrOptions, validate_parameter_constraints
from skae._devices import without_torch_side_effects
from skae._seeds import isolated_rng
from skae._torch_state import default_torch_state
from skae._typing import ModelProto
from skae.nn import Decoder, Encoder

# for each part: the function that extracts it from the module, and the name of its output
PARTS = {
    "encoder": (Encoder, "X_new"),
    "decoder": (Decoder, "X_original"),
    "reconstruct": (lambda module: module, "X_hat"),
}

LENGTHS = 4  # index of the input "sequence_lens" of ONNX's recurrent nodes


class OnnxMixin:
    """Mixin of autoencoders for the export to ONNX."""

    def to_onnx(self, part: Literal["encoder", "decoder", "reconstruct"] = "encoder") -> ModelProto:
        """Return the fitted autoencoder, its encoder, or its decoder as an ONNX model, which runs without Python.

        The model includes the scaling. It takes any number of samples in float32 and returns float32. For an
        autoencoder in a Pipeline, this method isn't needed: `skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32))`
        converts all steps.

        Parameters
        ----------
        part : {"encoder", "decoder", "reconstruct"}, default="encoder"
            Part to export. "encoder" corresponds to `transform`, "decoder" to `inverse_transform` (but ordered codes
            need all components), and "reconstruct" to `reconstruct`.

        Returns
        -------
        model : onnx.ModelProto
            Model with an input "X", of shape (n_samples, n_features), or (n_samples, n_components) for the decoder. Its
            output is named "X_new", "X_original" or "X_hat", as in the corresponding method.

        Raises
        ------
        ImportError
            If onnx or onnxscript is not installed.

        ValueError
            If `part` is invalid.

        Examples
        --------
        >>> import onnxruntime
        >>> from sklearn.datasets import load_digits
        >>> from skae import Autoencoder
        >>> X = load_digits().data.astype("float32")
        >>> model = Autoencoder(8, hidden_layer_sizes=()).fit(X).to_onnx()
        >>> session = onnxruntime.InferenceSession(model.SerializeToString())
        >>> (codes,) = session.run(None, {"X": X})
        >>> codes.shape
        (1797, 8)
        """
        check_is_fitted(self)
        validate_parameter_constraints({"part": [StrOptions(set(PARTS))]}, {"part": part}, "to_onnx")
        return self._exported(part)

    def onnx_shape_calculator(self) -> Callable[[Any], None]:
        """Return the shape calculator that skl2onnx uses for this step of a Pipeline.

        Returns
        -------
        calculate : callable
            Function of an operator of skl2onnx that sets the type of the operator's output and returns None.
        """
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

        def calculate(operator):
            first, (codes,) = operator.inputs[0], operator.outputs
            kind = DoubleTensorType if isinstance(first.type, DoubleTensorType) else FloatTensorType
            codes.type = kind([first.get_first_dimension(), self.n_components_])

        return calculate

    def onnx_converter(self) -> Callable[[Any, Any, Any], None]:
        """Return the converter that skl2onnx uses for this step of a Pipeline: it corresponds to `transform`.

        Returns
        -------
        convert : callable
            Function of a scope, an operator and a container of skl2onnx that adds nodes to the container and returns
            None.
        """
        check_is_fitted(self)

        def convert(scope, operator, container):
            model = self._exported("encoder", container.target_opset_onnx)
            _embed(model, scope.get_unique_operator_name(type(self).__name__), operator, container)

        return convert

    def _exported(self, part, opset=None):
        """Export a part from a copy on the CPU, with PyTorch's exporter."""
        try:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            name = type(self).__name__
            raise ImportError(
                f'{name}.to_onnx needs onnx and onnxscript. Install them with pip install "skae[onnx]".'
            ) from error
        half, output = PARTS[part]
        with default_torch_state(), _no_side_effects():
            module = half(self._spec.build(self.module_class, self._weights)).eval()
            width = self.n_components_ if part == "decoder" else self.n_features_in_
            program = torch.onnx.export(
                module,
                (torch.zeros(2, width),),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("n_samples")},),
                input_names=["X"],
                output_names=[output],
                opset_version=opset,
                verbose=False,
            )
        return _without_metadata(program.model_proto)


@contextlib.contextmanager
def _no_side_effects():
    """Restore the state of the process, and suppress warnings of the exporter about itself and missing packages."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    with isolated_rng(0), without_torch_side_effects():
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


def _without_metadata(model):
    """Remove the exporter's metadata from a model: lines of source code and their paths on this machine."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del noted.metadata_props[:]
    del graph.value_info[:]
    return model


def _embed(model, name, operator, container):
    """Insert a model between the inputs and the output of an operator of skl2onnx, which may have other types."""
    from onnx import TensorProto
    from onnx.compose import add_prefix

    model = add_prefix(model, f"{name}_")
    graph, (codes,) = model.graph, operator.outputs
    columns = [f"{name}_columns_{i}" for i in range(len(operator.inputs))]  # a data frame has one input per column
    for given, column in zip(operator.inputs, columns, strict=True):
        container.add_node("Cast", [given.onnx_name], [column], to=TensorProto.FLOAT)
    container.add_node("Concat", columns, [graph.input[0].name], axis=1)
    for node in graph.node:
        if node.op_type in ("LSTM", "GRU") and node.input[LENGTHS] == "":  # skl2onnx can't sort omitted inputs
            node.input[LENGTHS] = _add_lengths(node, container)
    container.nodes.extend(graph.node)
    container.initializers.extend(graph.initializer)
    container.node_domain_version_pair_sets.update((opset.domain, opset.version) for opset in model.opset_import)
    wanted = codes.type.to_onnx_type().tensor_type.elem_type
    container.add_node("Cast", [graph.output[0].name], [codes.onnx_name], to=wanted)


def _add_lengths(node, container):
    """Add the sequence lengths of a recurrent node's input, of shape (n_steps, n, d): n_steps, repeated n times."""
    from onnx import TensorProto

    n_steps, n, length, lengths = (f"{node.name}_{what}" for what in ("n_steps", "n", "length", "lengths"))
    container.add_node("Shape", [node.input[0]], [n_steps], start=0, end=1)
    container.add_node("Shape", [node.input[0]], [n], start=1, end=2)
    container.add_node("Cast", [n_steps], [length], to=TensorProto.INT32)
    container.add_node("Expand", [length, n], [lengths])
    return lengths
