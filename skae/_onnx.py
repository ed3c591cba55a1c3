"""Fitted autoencoders as ONNX models: by themselves, and as steps of a Pipeline that skl2onnx converts."""

import contextlib
import logging
import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch
from sklearn.utils.validation import check_is_fitted

from skae._constraints import StrOptions, validate_parameter_constraints
from skae._devices import what_torch_sets_undone
from skae._seeds import isolated_rng
from skae._torch_state import usual_torch
from skae._typing import ModelProto
from skae.nn import Decoder, Encoder

# what makes each part of the whole module, and what its result is called
PARTS = {
    "encoder": (Encoder, "X_new"),
    "decoder": (Decoder, "X_original"),
    "reconstruct": (lambda module: module, "X_hat"),
}

LENGTHS = 4  # place of the lengths of sequences among the inputs of ONNX's recurrent nodes


class OnnxMixin:
    """The way of a fitted autoencoder out of Python."""

    def to_onnx(self, part: Literal["encoder", "decoder", "reconstruct"] = "encoder") -> ModelProto:
        """Return the fitted autoencoder, or a half of it, as an ONNX model, which runs without Python.

        It takes any number of samples of float32, scaling included, and returns float32. An autoencoder in a Pipeline
        needs no call of this: `skl2onnx.to_onnx(pipeline, X[:1].astype(np.float32))` converts it with its neighbors.

        Parameters
        ----------
        part : {"encoder", "decoder", "reconstruct"}, default="encoder"
            Whether the model does what `transform` does, what `inverse_transform` does (of ordered codes too it takes
            whole ones), or what `reconstruct` does.

        Returns
        -------
        model : onnx.ModelProto
            Its input is "X", of shape (n_samples, n_features), of the decoder (n_samples, n_components). Its output
            is "X_new", "X_original" or "X_hat", as the methods call it.

        Raises
        ------
        ImportError
            If onnx or onnxscript are not installed.

        ValueError
            If `part` is none of the three.

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
        """Return what tells skl2onnx the type of this step's output, for a Pipeline that it converts.

        Returns
        -------
        calculate : callable
            A shape calculator, from an operator of skl2onnx to nothing: it sets the type of the operator's output.
        """
        from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

        def calculate(operator):
            first, (codes,) = operator.inputs[0], operator.outputs
            kind = DoubleTensorType if isinstance(first.type, DoubleTensorType) else FloatTensorType
            codes.type = kind([first.get_first_dimension(), self.n_components_])

        return calculate

    def onnx_converter(self) -> Callable[[Any, Any, Any], None]:
        """Return what puts this step, which does what `transform` does, into a Pipeline that skl2onnx converts.

        Returns
        -------
        convert : callable
            A converter, from a scope, an operator and a container of skl2onnx to nothing: it adds nodes to the last.
        """
        check_is_fitted(self)

        def convert(scope, operator, container):
            model = self._exported("encoder", container.target_opset_onnx)
            _embed(model, scope.get_unique_operator_name(type(self).__name__), operator, container)

        return convert

    def _exported(self, part, opset=None):
        """Export a part by torch's own exporter, from a copy on the CPU."""
        try:
            import onnx  # noqa: F401
            import onnxscript  # noqa: F401
        except ImportError as error:
            name = type(self).__name__
            raise ImportError(
                f'{name}.to_onnx needs onnx and onnxscript. Install them with pip install "skae[onnx]".'
            ) from error
        half, output = PARTS[part]
        with usual_torch(), _nothing_left_behind():
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
        return _without_notes(program.model_proto)


@contextlib.contextmanager
def _nothing_left_behind():
    """Leave the state of the process as it was, and no word: the exporter warns of itself and of what it could use."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    with isolated_rng(0), what_torch_sets_undone():
        warnings.simplefilter("ignore")
        log.setLevel(logging.ERROR)
        try:
            yield
        finally:
            log.setLevel(level)


def _without_notes(model):
    """Take what the exporter notes in a model out of it: lines of source code, and where they lie on this machine."""
    graph = model.graph
    for noted in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del noted.metadata_props[:]
    del graph.value_info[:]
    return model


def _embed(model, name, operator, container):
    """Put a model between the inputs and the output of an operator of skl2onnx, which may be of other types."""
    from onnx import TensorProto
    from onnx.compose import add_prefix

    model = add_prefix(model, f"{name}_")
    graph, (codes,) = model.graph, operator.outputs
    columns = [f"{name}_columns_{i}" for i in range(len(operator.inputs))]  # a frame has one input a column
    for given, column in zip(operator.inputs, columns, strict=True):
        container.add_node("Cast", [given.onnx_name], [column], to=TensorProto.FLOAT)
    container.add_node("Concat", columns, [graph.input[0].name], axis=1)
    for node in graph.node:
        if node.op_type in ("LSTM", "GRU") and node.input[LENGTHS] == "":  # skl2onnx can't sort what is left out
            node.input[LENGTHS] = _add_lengths(node, container)
    container.nodes.extend(graph.node)
    container.initializers.extend(graph.initializer)
    container.node_domain_version_pair_sets.update((opset.domain, opset.version) for opset in model.opset_import)
    wanted = codes.type.to_onnx_type().tensor_type.elem_type
    container.add_node("Cast", [graph.output[0].name], [codes.onnx_name], to=wanted)


def _add_lengths(node, container):
    """Say the lengths of the sequences that a recurrent node reads, of shape (n_steps, n, d): n_steps, n times."""
    from onnx import TensorProto

    n_steps, n, length, lengths = (f"{node.name}_{what}" for what in ("n_steps", "n", "length", "lengths"))
    container.add_node("Shape", [node.input[0]], [n_steps], start=0, end=1)
    container.add_node("Shape", [node.input[0]], [n], start=1, end=2)
    container.add_node("Cast", [n_steps], [length], to=TensorProto.INT32)
    container.add_node("Expand", [length, n], [lengths])
    return lengths
