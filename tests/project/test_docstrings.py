"""Every public name has a docstring without numpydoc errors, and shared parameters are described in the same words."""

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

# Checks of numpydoc that are ignored, and why. All other checks apply; for modules and classes, all checks do.
IGNORED_CHECKS = {
    "function": {
        "RT02": "results are named, as in scikit-learn",
        "ES01": "one sentence suffices for a formula",
    },
    "method": {
        "RT02": "results are named, as in scikit-learn",
        "ES01": "one sentence may suffice",
        "SA01": "its class has a See Also section",
        "EX01": "its class has an example",
    },
}


# Public names ---------------------------------------------------------------------------------------------------------


def public_modules():
    """Return the package and its public modules: no part of their names has a leading underscore."""
    names = [found.name for found in pkgutil.walk_packages(skae.__path__, "skae.")]
    return [skae, *(importlib.import_module(name) for name in names if "._" not in name)]


def methods_of(a_class):
    """Yield the public methods and properties that are defined in skae, inherited ones included."""
    for name in dir(a_class):
        if not name.startswith("_"):
            found = inspect.getattr_static(a_class, name)
            function = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
            function = getattr(function, "fn", function)  # of `available_if`
            in_skae = inspect.isfunction(function) and function.__module__.split(".")[0] == "skae"
            is_hook = function.__doc__ is None and any(hasattr(base, name) for base in a_class.__mro__[1:])
            if in_skae and not is_hook:  # a hook is documented once, in the base class
                yield name, function


def public_names():
    """Return {name: "module", "class", "function" or "method"}; an object that has two names is listed once."""
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
    return inspect.getdoc(thing) or ""  # a missing docstring is reported by another test


def sections(name):
    return NumpyDocString(text_of(load(name)))


# Content of docstrings ------------------------------------------------------------------------------------------------


class QuietValidator(Validator):
    """numpydoc's validator, without the search for ignore comments, which fails for modules without functions."""

    source_file_def_line = None

    def __init__(self, obj_name):
        super().__init__(get_doc_object(load(obj_name)))


def codes_of(name):
    return {code for code, _ in validate(name, QuietValidator)["errors"]}


def test_numpydoc_finds_no_errors():
    faults = {name: codes_of(name) - set(IGNORED_CHECKS.get(kind, {})) for name, kind in KINDS.items()}
    # its parameters are documented in `Autoencoder`
    assert {name: codes for name, codes in faults.items() if codes} == {"skae.BaseAutoencoder": {"PR01"}}


def test_each_ignored_check_is_needed():
    found = defaultdict(set)
    for name, kind in KINDS.items():
        if name != "skae.BaseAutoencoder":
            found[kind] |= codes_of(name)
    assert {kind: set(codes) for kind, codes in IGNORED_CHECKS.items()} == {
        k: codes for k, codes in found.items() if codes
    }


ARRAYS = re.compile("ndarray|array-like|matrix|torch.Tensor|torch.nn.Parameter")
# a list has one number per layer; shapes of terms are given in their description
SHAPELESS = re.compile("or array-like of int|dict of str to torch.Tensor$")


def test_shapes_of_arrays_are_given():
    types = defaultdict(list)
    for name in (name for name, kind in KINDS.items() if kind != "module"):
        found = sections(name)
        for entry in (entry for section in ("Parameters", "Returns", "Attributes") for entry in found[section]):
            types[entry.type.split(", default")[0]].append(name)
    arrays = {t: names for t, names in types.items() if ARRAYS.search(t) and not SHAPELESS.search(t)}
    assert not {t: names for t, names in arrays.items() if " of shape (" not in t}


def raised_by(name):
    """Return the names of the error classes that a function itself raises."""
    thing = load(name)
    function = inspect.unwrap(thing.fget if isinstance(thing, property) else getattr(thing, "__func__", thing))
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = [node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)]
    return {error.func.id for error in raised}


def test_raised_errors_are_documented():
    called = [name for name, kind in KINDS.items() if kind in ("function", "method")]
    missing = {name: raised_by(name) - {entry.type for entry in sections(name)["Raises"]} for name in called}
    assert not {name: errors for name, errors in missing.items() if errors}


def test_every_class_and_function_has_an_example():
    parser = doctest.DocTestParser()
    examples = {name: parser.get_examples(text_of(load(name))) for name in CLASSES_AND_FUNCTIONS}
    assert not {n for n, lines in examples.items() if all(line.options.get(doctest.SKIP) for line in lines)}


def see_also(name):
    return {relative for relatives, _ in sections(name)["See Also"] for relative, _ in relatives}


def exists(name, near):
    """Return whether a name exists: relative to `near`, where the documentation looks first, or as a full name."""
    try:
        return hasattr(near, name) or load(name) is not None
    except (AttributeError, ImportError):
        return False


def test_see_also_names_exist():
    near = {name: load(name.rpartition(".")[0] or "skae") for name in KINDS}
    missing = {name: {r for r in see_also(name) if not exists(r, near[name])} for name in KINDS}
    assert not {name: relatives for name, relatives in missing.items() if relatives}


def test_see_also_names_an_object_of_the_same_module():
    members = defaultdict(set)  # classes and functions by module
    for name in CLASSES_AND_FUNCTIONS:
        module, _, own = name.rpartition(".")
        members[module].add(own)
    for module, names in members.items():
        assert not {name for name in names if len(names) > 1 and not see_also(f"{module}.{name}") & (names - {name})}


# Attributes ----------------------------------------------------------------------------------------------------------


def documented_attributes(a_class):
    found = NumpyDocString(text_of(a_class))["Attributes"]
    return {name for entry in found for name in entry.name.split(", ")}


def fitted_attributes(estimator):
    """Return the public names that end in an underscore and are defined for this fit."""
    return {name for name in dir(estimator) if re.fullmatch("[^_].*_", name) and hasattr(estimator, name)}


NESTED = {skae.TabularAutoencoder: skae.Autoencoder(2, hidden_layer_sizes=())}


@pytest.mark.parametrize("of_class", public_estimators() + public_metas())
def test_fitted_attributes_and_their_documentation_agree(of_class, fits):
    small = SMALL if of_class in public_estimators() else [of_class(autoencoder=NESTED.get(of_class, PCA(2)))]
    found = set().union(*(fitted_attributes(fits(estimator)) for estimator in small if type(estimator) is of_class))
    properties = {name for name in dir(of_class) if isinstance(getattr(of_class, name), property)}
    documented = documented_attributes(of_class)
    assert found <= documented
    # properties may require another kind of fit; `feature_names_in_` requires a data frame
    assert documented <= found | properties | {"feature_names_in_"}


def test_class_attributes_are_documented():
    for a_class in map(load, CLASSES):
        ours = [base for base in a_class.__mro__ if base.__module__.split(".")[0] == "skae"]
        values = {name for base in ours for name, value in vars(base).items() if name[0] != "_" and is_value(value)}
        values.discard("set_fit_request")  # added by scikit-learn
        values -= {each.name for each in fields(a_class)} if is_dataclass(a_class) else set()  # defaults of parameters
        assert values <= set().union(*(documented_attributes(base) for base in ours))


def is_value(thing):
    is_method = isinstance(thing, property | classmethod | staticmethod) or hasattr(thing, "fn")  # of `available_if`
    return not callable(thing) and not is_method


# Consistent descriptions ---------------------------------------------------------------------------------------------


def words_of(names):
    """Return {(name, parameter): (type without the default, description without citations)}."""
    return {
        (name, entry.name): (entry.type.split(", default")[0], re.sub(r" \[\d+\]_", "", " ".join(entry.desc)))
        for name in names
        for entry in sections(name)["Parameters"]
    }


def differing(words, exceptions):
    """Return {parameter: descriptions} for those that differ, and the exceptions that are not needed."""
    texts, unnecessary = defaultdict(set), set()
    for (name, parameter), text in words.items():
        if (name, parameter) not in exceptions:
            texts[parameter].add(text)
    for name, parameter in exceptions:
        if words[name, parameter] in texts[parameter] or not texts[parameter]:
            unnecessary.add((name, parameter))
    return {parameter: text for parameter, text in texts.items() if len(text) > 1}, unnecessary


# Parameters of constructors that mean something else than in the other estimators
OTHER_PARAMETERS = {
    ("skae.Autoencoder", "max_iter"): "more epochs for few features",
    ("skae.Autoencoder", "learning_rate"): "lower for few samples with many features",
    ("skae.SparseAutoencoder", "n_components"): "number of atoms; can't be a fraction of the variance",
    ("skae.SparseAutoencoder", "hidden_layer_sizes"): "the decoder has no hidden layers",
    ("skae.ContractiveAutoencoder", "hidden_layer_sizes"): "wider layers for few features",
    ("skae.ContractiveAutoencoder", "max_iter"): "more steps for few features",
    ("skae.SparseAutoencoder", "learning_rate"): "higher for a dictionary",
    ("skae.SparseAutoencoder", "max_iter"): "a dictionary needs more steps",
    ("skae.SparseAutoencoder", "batch_size"): "a dictionary needs smaller batches",
    ("skae.SparseAutoencoder", "alpha"): "weight of another penalty",
    ("skae.VariationalAutoencoder", "n_components"): "the prior determines how many are used",
    ("skae.VariationalAutoencoder", "init"): "the weight of the divergence is increased gradually",
    ("skae.VariationalAutoencoder", "loss"): "a likelihood",
    ("skae.VariationalAutoencoder", "max_iter"): "more epochs where PCA is no initialization",
    ("skae.VariationalAutoencoder", "learning_rate"): "its loss is a sum over features, scaled by the noise",
    ("skae.StackedAutoencoder", "activation"): "applies to layers given as numbers",
    ("skae.StackedAutoencoder", "code_activation"): "applies to layers given as numbers",
    ("skae.StackedAutoencoder", "loss"): "applies to layers given as numbers, too",
    ("skae.StackedAutoencoder", "learning_rate"): "the layers contain linear maps",
    ("skae.StackedAutoencoder", "warm_start"): "the layers are not trained again",
    ("skae.AutoencoderOutlierDetector", "random_state"): "random state of the nested estimator",
    ("skae.LatentSampler", "random_state"): "random state of both nested estimators",
    ("skae.TabularAutoencoder", "n_components"): "size of the nested estimator's code",
    ("skae.TabularAutoencoder", "random_state"): "random state of the nested estimator",
    ("skae.TabularAutoencoder", "autoencoder"): "must be an autoencoder of skae",
}


def test_shared_parameters_of_estimators_have_the_same_description():
    estimators = [name for name in CLASSES if re.fullmatch(r"skae(\.architectures)?\.\w+", name)]
    assert differing(words_of(estimators), OTHER_PARAMETERS) == ({}, set())


# Parameters of methods, functions, displays and modules that mean something else than in the others
OTHER_MEANINGS = {
    ("skae.Autoencoder.fit", "X"): "training data",
    ("skae.Autoencoder.partial_fit", "X"): "training data",
    ("skae.AutoencoderOutlierDetector.fit", "X"): "training data",
    ("skae.LatentSampler.fit", "X"): "training data",
    ("skae.TabularAutoencoder.fit", "X"): "training data",
    ("skae.TabularAutoencoder.partial_fit", "X"): "training data",
    ("skae.TabularAutoencoder.inverse_transform", "X"): "codes",
    ("skae.Autoencoder.fit", "y"): "clean samples, for a denoiser",
    ("skae.DenoisingAutoencoder.score", "y"): "clean samples",
    ("skae.Autoencoder.inverse_transform", "X"): "codes",
    ("skae.Autoencoder.module_params", "scale"): "scale of the features",
    ("skae.Autoencoder.encode_y", "y"): "as passed to `fit`",
    ("skae.AutoencoderOutlierDetector.fit", "y"): "passed to the nested estimator",
    ("skae.AutoencoderOutlierDetector.partial_fit", "y"): "passed to the nested estimator",
    ("skae.TabularAutoencoder.fit", "y"): "passed to the nested estimator",
    ("skae.LatentSampler.fit", "y"): "passed to the nested estimator",
    ("skae.metrics.decoder_smoothness", "estimator"): "requires a single method",
    ("skae.inspection.ComponentsDisplay.from_estimator", "estimator"): "requires other methods",
    ("skae.inspection.LatentSpaceDisplay.from_estimator", "estimator"): "requires a single method",
    ("skae.inspection.LossCurveDisplay.from_estimator", "estimator"): "must be an estimator of skae",
    ("skae.inspection.FeatureErrorsDisplay.from_estimator", "estimator"): "requires another method",
    ("skae.inspection.SamplesDisplay.from_estimator", "estimator"): "requires another method",
    ("skae.inspection.SamplesDisplay.from_estimator", "n_samples"): "new samples",
    ("skae.inspection.SamplesDisplay.from_interpolation", "n_steps"): "samples, not values of a component",
    ("skae.inspection.ComponentsDisplay", "components"): "the components themselves, not their indices",
    ("skae.inspection.ExplainedVarianceDisplay", "name"): "shown in a legend",
    ("skae.inspection.ExplainedVarianceDisplay", "pca_name"): "shown in a legend",
    ("skae.nn.dense", "sizes"): "widths of layers, not of codes",
    ("skae.nn.Linear", "dtype"): "as in PyTorch",
}
FAMILIES = {
    "methods and functions": r"skae\.([A-Z]\w+\.|architectures\.\w+\.|metrics\.|datasets\.)\w+",
    "displays": r"skae\.inspection\..+",
    "modules": r"skae\.nn\..+",
    "callbacks": r"skae\.callbacks\..+",
    "declarations": r"skae\.base\..+",
}


@pytest.mark.parametrize("family", FAMILIES)
def test_first_sentence_about_a_shared_parameter_is_the_same(family):
    members = [name for name, kind in KINDS.items() if kind != "module" and re.fullmatch(FAMILIES[family], name)]
    first = {}
    for where, (kind, text) in words_of(members).items():
        if kind.startswith("torch.Tensor"):
            continue  # each module describes its own samples
        if " of shape " in kind:
            kind = "array"  # lists and sparse matrices may be allowed in one place and not in another
        first[where] = kind, re.split(r"(?<=\.) ", text)[0]
    assert differing(first, {where for where in OTHER_MEANINGS if where[0] in members}) == ({}, set())


def test_every_documented_object_is_in_a_family():
    described = [name for name, kind in KINDS.items() if kind != "module" and sections(name)["Parameters"]]
    patterns = [*FAMILIES.values(), r"skae(\.architectures)?\.\w+"]
    assert not [name for name in described if not any(re.fullmatch(pattern, name) for pattern in patterns)]
