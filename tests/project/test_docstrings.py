"""Every public name has a docstring with which numpydoc finds no fault, and the same is said in the same words."""

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections import defaultdict
from dataclasses import fields, is_dataclass

import pytest
from conftest import SMALL, public_estimators, public_metas
from numpydoc.docscrape import NumpyDocString, get_doc_object
from numpydoc.validate import Validator, validate
from sklearn.decomposition import PCA

import skae

# Checks of numpydoc that are left out, and why. All others hold, of modules and classes all there are.
LEFT_OUT = {
    "function": {
        "RT02": "a result has a name, as scikit-learn's results have",
        "ES01": "a formula that is said in one sentence needs no second",
    },
    "method": {
        "RT02": "a result has a name, as scikit-learn's results have",
        "ES01": "what is said in one sentence needs no second",
        "SA01": "its class has relatives",
        "EX01": "its class has an example",
    },
}


# What is public -------------------------------------------------------------------------------------------------------


def public_modules():
    """The package, and the modules in it of which no part has a leading underscore."""
    names = [found.name for found in pkgutil.walk_packages(skae.__path__, "skae.")]
    return [skae, *(importlib.import_module(name) for name in names if "._" not in name)]


def methods_of(a_class):
    """Public methods and properties that skae defines, also in a base; what scikit-learn or torch defines is theirs."""
    for name in dir(a_class):
        if not name.startswith("_"):
            found = inspect.getattr_static(a_class, name)
            function = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
            function = getattr(function, "fn", function)  # of `available_if`
            ours = inspect.isfunction(function) and function.__module__.split(".")[0] == "skae"
            is_hook = function.__doc__ is None and any(hasattr(base, name) for base in a_class.__mro__[1:])
            if ours and not is_hook:  # what a hook is for is said once, in the base
                yield name, function


def public_names():
    """{where it is found: module, class, function or method}; what is in two places is named once."""
    kinds, seen = {}, set()
    for module in public_modules():
        kinds[module.__name__] = "module"
        for name, thing in ((f"{module.__name__}.{name}", getattr(module, name)) for name in module.__all__):
            if inspect.isfunction(thing):
                kinds[name] = "function"
            elif inspect.isclass(thing) and thing not in seen:
                kinds[name] = "class"
                new = {method: function for method, function in methods_of(thing) if function not in seen}
                kinds |= {f"{name}.{method}": "method" for method in new}
                seen.update([thing, *new.values()])
    return kinds


KINDS = public_names()
CLASSES = [name for name, kind in KINDS.items() if kind == "class"]
CLASSES_AND_FUNCTIONS = [name for name, kind in KINDS.items() if kind in ("class", "function")]


def load(name):
    return Validator._load_obj(name)


def text_of(thing):
    return inspect.getdoc(thing) or ""  # that there is none is one test's to say


def sections(name):
    return NumpyDocString(text_of(load(name)))


# What each docstring has ---------------------------------------------------------------------------------------------


class Described(Validator):
    """numpydoc's, without the search for comments that switch checks off: it fails on a module with no function."""

    source_file_def_line = None

    def __init__(self, obj_name):
        super().__init__(get_doc_object(load(obj_name)))


def codes_of(name):
    return {code for code, _ in validate(name, Described)["errors"]}


def test_numpydoc_finds_no_fault():
    faults = {name: codes_of(name) - set(LEFT_OUT.get(kind, {})) for name, kind in KINDS.items()}
    # its parameters are those of `Autoencoder`
    assert {name: codes for name, codes in faults.items() if codes} == {"skae.BaseAutoencoder": {"PR01"}}


def test_what_is_left_out_would_be_found():
    found = defaultdict(set)
    for name, kind in KINDS.items():
        if name != "skae.BaseAutoencoder":
            found[kind] |= codes_of(name)
    assert {kind: set(codes) for kind, codes in LEFT_OUT.items()} == {k: codes for k, codes in found.items() if codes}


ARRAYS = re.compile("ndarray|array-like|matrix|torch.Tensor|torch.nn.Parameter")
# one number a layer, and terms each of its own shape, which the description gives
SHAPELESS = re.compile("or array-like of int|dict of str to torch.Tensor$")


def test_shapes_are_given():
    types = defaultdict(list)
    for name in (name for name, kind in KINDS.items() if kind != "module"):
        found = sections(name)
        for entry in (entry for section in ("Parameters", "Returns", "Attributes") for entry in found[section]):
            types[entry.type.split(", default")[0]].append(name)
    arrays = {t: names for t, names in types.items() if ARRAYS.search(t) and not SHAPELESS.search(t)}
    assert not {t: names for t, names in arrays.items() if " of shape (" not in t}


def raised_by(name):
    """Classes of the errors that a function raises itself."""
    thing = load(name)
    function = inspect.unwrap(thing.fget if isinstance(thing, property) else getattr(thing, "__func__", thing))
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return {error.func.id for error in raised}


def test_errors_that_a_function_raises_are_documented():
    called = [name for name, kind in KINDS.items() if kind in ("function", "method")]
    missing = {name: raised_by(name) - {entry.type for entry in sections(name)["Raises"]} for name in called}
    assert not {name: errors for name, errors in missing.items() if errors}


def test_an_example_runs():
    parser = doctest.DocTestParser()
    examples = {name: parser.get_examples(text_of(load(name))) for name in CLASSES_AND_FUNCTIONS}
    assert not {n for n, lines in examples.items() if all(line.options.get(doctest.SKIP) for line in lines)}


def see_also(name):
    return {relative for relatives, _ in sections(name)["See Also"] for relative, _ in relatives}


def exists(name, near):
    """Whether there is such a thing: near by, where documentation looks first, or as a whole name."""
    try:
        return hasattr(near, name) or load(name) is not None
    except (AttributeError, ImportError):
        return False


def test_relatives_exist():
    near = {name: load(name.rpartition(".")[0] or "skae") for name in KINDS}
    missing = {name: {r for r in see_also(name) if not exists(r, near[name])} for name in KINDS}
    assert not {name: relatives for name, relatives in missing.items() if relatives}


def test_what_has_siblings_names_one():
    kin = defaultdict(set)  # of one module
    for name in CLASSES_AND_FUNCTIONS:
        module, _, own = name.rpartition(".")
        kin[module].add(own)
    for module, names in kin.items():
        assert not {name for name in names if len(names) > 1 and not see_also(f"{module}.{name}") & (names - {name})}


# Attributes ----------------------------------------------------------------------------------------------------------


def documented_attributes(a_class):
    found = NumpyDocString(text_of(a_class))["Attributes"]
    return {name for entry in found for name in entry.name.split(", ")}


def learned(estimator):
    """Public names that end in an underscore, without those that are not defined for how it was fitted."""
    return {name for name in dir(estimator) if re.fullmatch("[^_].*_", name) and hasattr(estimator, name)}


INSIDE = {skae.TabularAutoencoder: skae.Autoencoder(2, hidden_layer_sizes=())}


@pytest.mark.parametrize("of_class", public_estimators() + public_metas())
def test_what_is_learned_is_documented_and_the_reverse(of_class, fits):
    small = SMALL if of_class in public_estimators() else [of_class(autoencoder=INSIDE.get(of_class, PCA(2)))]
    found = set().union(*(learned(fits(estimator)) for estimator in small if type(estimator) is of_class))
    properties = {name for name in dir(of_class) if isinstance(getattr(of_class, name), property)}
    documented = documented_attributes(of_class)
    assert found <= documented
    # properties may need another fit than those here, and names a frame: `test_names_and_frames` has one
    assert documented <= found | properties | {"feature_names_in_"}


def test_attributes_of_a_class_are_documented():
    for a_class in map(load, CLASSES):
        ours = [base for base in a_class.__mro__ if base.__module__.split(".")[0] == "skae"]
        values = {name for base in ours for name, value in vars(base).items() if name[0] != "_" and is_value(value)}
        values.discard("set_fit_request")  # scikit-learn makes it
        values -= {each.name for each in fields(a_class)} if is_dataclass(a_class) else set()  # defaults of parameters
        assert values <= set().union(*(documented_attributes(base) for base in ours))


def is_value(thing):
    is_method = isinstance(thing, property | classmethod | staticmethod) or hasattr(thing, "fn")  # of `available_if`
    return not callable(thing) and not is_method


# The same in the same words ------------------------------------------------------------------------------------------


def words_of(names):
    """{(name, parameter): (type without a default, description without citations)}."""
    return {
        (name, entry.name): (entry.type.split(", default")[0], re.sub(r" \[\d+\]_", "", " ".join(entry.desc)))
        for name in names
        for entry in sections(name)["Parameters"]
    }


def differing(words, but_for):
    """{parameter: its words} of those that aren't the same everywhere; and the exceptions that are none."""
    texts, idle = defaultdict(set), set()
    for (name, parameter), text in words.items():
        if (name, parameter) not in but_for:
            texts[parameter].add(text)
    for name, parameter in but_for:
        if words[name, parameter] in texts[parameter] or not texts[parameter]:
            idle.add((name, parameter))
    return {parameter: text for parameter, text in texts.items() if len(text) > 1}, idle


# What a parameter of a constructor means elsewhere than in the other estimators
OTHER_PARAMETERS = {
    ("skae.Autoencoder", "max_iter"): "more for few features",
    ("skae.Autoencoder", "learning_rate"): "less for few wide rows",
    ("skae.SparseAutoencoder", "n_components"): "units and atoms; a share of the variance means nothing",
    ("skae.SparseAutoencoder", "hidden_layer_sizes"): "the decoder has none",
    ("skae.ContractiveAutoencoder", "hidden_layer_sizes"): "few features are unfolded by wider layers",
    ("skae.ContractiveAutoencoder", "max_iter"): "and by more steps",
    ("skae.SparseAutoencoder", "learning_rate"): "the dictionary learns at a higher rate",
    ("skae.SparseAutoencoder", "max_iter"): "a dictionary takes more steps",
    ("skae.SparseAutoencoder", "batch_size"): "and smaller batches",
    ("skae.SparseAutoencoder", "alpha"): "the weight of another penalty",
    ("skae.VariationalAutoencoder", "n_components"): "the prior decides how many are used",
    ("skae.VariationalAutoencoder", "init"): "the divergence is weighed up",
    ("skae.VariationalAutoencoder", "loss"): "a likelihood",
    ("skae.VariationalAutoencoder", "max_iter"): "more where PCA is no start",
    ("skae.VariationalAutoencoder", "learning_rate"): "its loss adds up over features and has its scale by the noise",
    ("skae.StackedAutoencoder", "activation"): "of the layers that are numbers",
    ("skae.StackedAutoencoder", "code_activation"): "of the layers that are numbers",
    ("skae.StackedAutoencoder", "loss"): "of the layers that are numbers, too",
    ("skae.StackedAutoencoder", "learning_rate"): "linear maps are in the layers",
    ("skae.StackedAutoencoder", "warm_start"): "layers are not trained again",
    ("skae.AutoencoderOutlierDetector", "random_state"): "of what is inside",
    ("skae.LatentSampler", "random_state"): "of both that are inside",
    ("skae.TabularAutoencoder", "n_components"): "of what is inside",
    ("skae.TabularAutoencoder", "random_state"): "of what is inside",
    ("skae.TabularAutoencoder", "autoencoder"): "one of ours alone",
}


def test_parameters_of_estimators_are_in_the_same_words():
    estimators = [name for name in CLASSES if re.fullmatch(r"skae(\.architectures)?\.\w+", name)]
    assert differing(words_of(estimators), OTHER_PARAMETERS) == ({}, set())


# What a parameter of a method, a function, a display or a module means elsewhere than in its like
OTHER_MEANINGS = {
    ("skae.Autoencoder.fit", "X"): "training data",
    ("skae.Autoencoder.partial_fit", "X"): "training data",
    ("skae.AutoencoderOutlierDetector.fit", "X"): "training data",
    ("skae.LatentSampler.fit", "X"): "training data",
    ("skae.TabularAutoencoder.fit", "X"): "training data",
    ("skae.TabularAutoencoder.partial_fit", "X"): "training data",
    ("skae.TabularAutoencoder.inverse_transform", "X"): "codes",
    ("skae.Autoencoder.fit", "y"): "clean samples, of a denoiser",
    ("skae.DenoisingAutoencoder.score", "y"): "clean rows",
    ("skae.Autoencoder.inverse_transform", "X"): "codes",
    ("skae.Autoencoder.module_params", "scale"): "that of the features",
    ("skae.Autoencoder.encode_y", "y"): "as it was given to `fit`",
    ("skae.AutoencoderOutlierDetector.fit", "y"): "whatever is inside may use it",
    ("skae.AutoencoderOutlierDetector.partial_fit", "y"): "whatever is inside may use it",
    ("skae.TabularAutoencoder.fit", "y"): "whatever is inside may use it",
    ("skae.LatentSampler.fit", "y"): "whatever is inside may use it",
    ("skae.metrics.decoder_smoothness", "estimator"): "asks for one method alone",
    ("skae.inspection.ComponentsDisplay.from_estimator", "estimator"): "asks for other methods",
    ("skae.inspection.LatentSpaceDisplay.from_estimator", "estimator"): "asks for one method alone",
    ("skae.inspection.LossCurveDisplay.from_estimator", "estimator"): "must be one of ours",
    ("skae.inspection.FeatureErrorsDisplay.from_estimator", "estimator"): "asks for another method",
    ("skae.inspection.SamplesDisplay.from_estimator", "estimator"): "asks for another method",
    ("skae.inspection.SamplesDisplay.from_estimator", "n_samples"): "drawn anew",
    ("skae.inspection.SamplesDisplay.from_interpolation", "n_steps"): "rows, not values of a component",
    ("skae.inspection.ComponentsDisplay", "components"): "what is drawn, not which",
    ("skae.inspection.ExplainedVarianceDisplay", "name"): "stands in a legend",
    ("skae.inspection.ExplainedVarianceDisplay", "pca_name"): "stands in a legend",
    ("skae.nn.dense", "sizes"): "widths of layers, not of codes",
    ("skae.nn.Linear", "dtype"): "PyTorch's own",
}
FAMILIES = {
    "methods and functions": r"skae\.([A-Z]\w+\.|architectures\.\w+\.|metrics\.|datasets\.)\w+",
    "displays": r"skae\.inspection\..+",
    "modules": r"skae\.nn\..+",
    "callbacks": r"skae\.callbacks\..+",
    "declarations": r"skae\.base\..+",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_first_sentence_on_a_parameter_is_the_same(family):
    members = [name for name, kind in KINDS.items() if kind != "module" and re.fullmatch(FAMILIES[family], name)]
    first = {}
    for where, (kind, text) in words_of(members).items():
        if kind.startswith("torch.Tensor"):
            continue  # each module says what its samples are
        if " of shape " in kind:
            kind = "array"  # lists and sparse matrices may do in one place and not in another
        first[where] = kind, re.split(r"(?<=\.) ", text)[0]
    assert differing(first, {where for where in OTHER_MEANINGS if where[0] in members}) == ({}, set())


def test_every_docstring_is_in_a_family():
    described = [name for name, kind in KINDS.items() if kind != "module" and sections(name)["Parameters"]]
    patterns = [*FAMILIES.values(), r"skae(\.architectures)?\.\w+"]
    assert not [name for name in described if not any(re.fullmatch(pattern, name) for pattern in patterns)]
