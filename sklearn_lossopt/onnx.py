"""Converters to ONNX: importing this module makes skl2onnx know both estimators, in pipelines too.

    import sklearn_lossopt.onnx
    from skl2onnx import to_onnx

    onnx_model = to_onnx(model, X[:1])

Options are those of skl2onnx's own linear classifiers: `zipmap`, `raw_scores`, `nocl`,
`output_class_labels`. Needs the extra ``[onnx]``.
"""

import numpy as np
from scipy import sparse

from . import LinearSVMClassifier, SoftmaxClassifier

try:
    from skl2onnx import update_registered_converter
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
    from skl2onnx.common.utils_classifier import get_label_classes
    from skl2onnx.proto import onnx_proto
except ImportError as error:
    raise ImportError(
        f"sklearn_lossopt.onnx needs skl2onnx, which could not be imported ({error}). Install it by: "
        'pip install "sklearn-lossopt[onnx]"'
    ) from error

OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}
LARGEST = 1e290  # of scores, so that what is made of them stays finite
DOUBLE = onnx_proto.TensorProto.DOUBLE


def _set_types(operator):
    """Types and shapes of the outputs, as of skl2onnx's linear classifiers."""
    calculate_linear_classifier_output_shapes(operator)
    scores = operator.outputs[1]
    for other in operator.scope_inst.operators.values():
        if other.type == "SklearnZipMap" and any(scores is part for part in other.inputs):
            scores.set_type(FloatTensorType(scores.type.shape))  # ZipMap takes no doubles
            for mapped in other.outputs[1:]:
                mapped.type.element_type.value_type = FloatTensorType([])


def _labels(classes):
    """The classes as ONNX has them, integers or strings: their type and their values."""
    if isinstance(classes[0], str):
        return onnx_proto.TensorProto.STRING, [label.encode("utf-8") for label in classes]
    return onnx_proto.TensorProto.INT64, [int(label) for label in classes]


class _Graph:
    """The nodes of one model, added by the name of the operation."""

    def __init__(self, scope, container):
        self.scope = scope
        self.container = container

    def constant(self, name, kind, values):
        """Name of a constant."""
        name = self.scope.get_unique_variable_name(name)
        values = np.asarray(values)
        self.container.add_initializer(name, kind, values.shape, values.ravel().tolist())
        return name

    def number(self, name, value):
        """Name of a float64 constant."""
        return self.constant(name, DOUBLE, np.float64(value))

    def add(self, operation, inputs, output=None, version=13, **attributes):
        """Add a node; give the name of its output."""
        output = output or self.scope.get_unique_variable_name(operation.lower())
        name = self.scope.get_unique_operator_name(operation)
        self.container.add_node(operation, inputs, output, name=name, op_version=version, **attributes)
        return output


def _convert(scope, operator, container):
    """Add a fitted model to the graph.

    Scores are float64 whatever the input is, as float32 sums of other order would change
    probabilities by more than 1e-6. Two classes have the scores -s and s.
    """
    model = operator.raw_operator
    graph = _Graph(scope, container)
    X = graph.add("Cast", [operator.inputs[0].full_name], to=DOUBLE)
    scores = graph.add("Add", [graph.add("MatMul", [X, _coef(graph, model)]), _intercept(graph, model)])
    limits = graph.number("lowest", -LARGEST), graph.number("largest", LARGEST)
    scores = graph.add("Clip", [scores, *limits])
    kind, values = _labels(get_label_classes(scope, model))
    best = graph.add("ArgMax", [scores], axis=1, keepdims=0)
    graph.add("Gather", [graph.constant("classes", kind, values), best], operator.outputs[0].full_name)
    is_float = isinstance(operator.outputs[1].type, FloatTensorType)
    if container.get_options(model, {"raw_scores": False})["raw_scores"] or not _has_probabilities(model):
        result = scores
        if is_float:
            largest = np.finfo(np.float32).max
            limits = graph.number("lowest", -largest), graph.number("largest", largest)
            result = graph.add("Clip", [scores, *limits])
    else:
        divisor = model._divisor() * (2 if len(model.classes_) == 2 else 1)
        result = graph.add("Div", [scores, graph.number("temperature", divisor)])
        result = graph.add("Softmax", [result], axis=1)
    target = onnx_proto.TensorProto.FLOAT if is_float else DOUBLE
    graph.add("Cast", [result], operator.outputs[1].full_name, to=target)


def _coef(graph, model):
    coef = model.coef_.toarray() if sparse.issparse(model.coef_) else model.coef_
    coef = np.vstack([-coef, coef]) if len(coef) == 1 else coef
    return _in_float64(graph, "coef", coef.T)


def _intercept(graph, model):
    intercept = model.intercept_
    return _in_float64(graph, "intercept", np.r_[-intercept, intercept] if len(intercept) == 1 else intercept)


def _in_float64(graph, name, values):
    """Stored as they are: float32 needs half the room."""
    if values.dtype != np.float32:
        return graph.constant(name, DOUBLE, values)
    return graph.add("Cast", [graph.constant(name, onnx_proto.TensorProto.FLOAT, values)], to=DOUBLE)


def _has_probabilities(model):
    return hasattr(model, "predict_proba")


for _estimator in (SoftmaxClassifier, LinearSVMClassifier):
    update_registered_converter(
        _estimator,
        f"SklearnLossopt{_estimator.__name__}",
        _set_types,
        _convert,
        options=OPTIONS,
    )
