"""The list of layer calls that a Keras model is made of, and new models cut out of it.

A Keras model is a graph: layers are called on tensors and give tensors. `trace` writes the calls
down in order, those inside nested models included, so that the kit can cut a student's model at
any place: behind its frozen part, at a layer for t-SNE, at the last convolution for Grad-CAM.
The layers themselves, and so the weights, stay those of the model that was given.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import tree

from xray_helpers.errors import KitError

# `keras.Model(inputs, outputs)` is of a class that Keras does not export; this is its `call`.
_FUNCTIONAL_CALL = type(keras.Model(_x := keras.Input((1,)), _x)).call


class NotAGraph(KitError):
    """The model is not made of Keras layers called on tensors (a subclass with its own `call`)."""


@dataclass(frozen=True)
class Step:
    """One call of one layer: `outputs = layer(*args, **kwargs)`, with symbolic tensors."""

    name: str
    layer: Callable
    args: tuple
    kwargs: dict[str, Any]
    outputs: Any

    @property
    def inputs(self) -> list[keras.KerasTensor]:
        """All tensors among the arguments."""
        return _tensors((self.args, self.kwargs))


@dataclass(frozen=True)
class Graph:
    """The calls of a model in the order in which they can be computed."""

    inputs: list[keras.KerasTensor]
    steps: list[Step]
    outputs: list[keras.KerasTensor]

    def find(self, name: str) -> Step:
        """The call of the layer `name`; `backbone/layer` where it is nested.

        Raises:
            KitError: no layer has that name.
        """
        matches = [s for s in self.steps if name in (s.name, s.name.split("/")[-1])]
        if not matches:
            names = ", ".join(s.name for s in self.steps[-12:])
            raise KitError(f"The model has no layer '{name}'; its last layers are: {names}.")
        return matches[-1]

    def model(
        self,
        inputs: Sequence[keras.KerasTensor],
        outputs: Sequence[keras.KerasTensor],
        name: str | None = None,
    ) -> keras.Model:
        """A model from the tensors `inputs` to the tensors `outputs`, on the same layers.

        Raises:
            ValueError: `outputs` cannot be computed from `inputs` alone.
        """
        fresh = [keras.Input(batch_shape=t.shape, dtype=t.dtype) for t in inputs]
        values = {id(t): new for t, new in zip(inputs, fresh, strict=True)}
        for step in self._needed(values, outputs):
            run_step(step, values)
        # Keras warns where a list of one is given and then a single array is passed.
        fresh = fresh[0] if len(fresh) == 1 else fresh
        return keras.Model(fresh, [values[id(t)] for t in outputs], name=name)

    def _needed(self, known: Iterable[int], outputs: Sequence[keras.KerasTensor]) -> list[Step]:
        """The steps between known tensors and `outputs`, in order."""
        known, wanted, needed = set(known), {id(t) for t in outputs}, []
        for step in reversed(self.steps):
            produced = {id(t) for t in _tensors(step.outputs)}
            if produced & wanted - known:
                needed.append(step)
                wanted |= {id(t) for t in step.inputs}
                wanted -= produced
        if wanted - known:
            raise ValueError("These outputs cannot be computed from these inputs alone.")
        return needed[::-1]


def run_step(step: Step, values: dict[int, Any]) -> Any:
    """Call a step's layer on `values` (by the id of the symbolic tensor); store and return it."""

    def fill(item: Any) -> Any:
        return values[id(item)] if isinstance(item, keras.KerasTensor) else item

    result = step.layer(*_map(fill, step.args), **_map(fill, step.kwargs))
    for symbolic, value in zip(_tensors(step.outputs), tree.flatten(result), strict=True):
        values[id(symbolic)] = value
    return result


def trace(model: keras.Model) -> Graph:
    """Write down every layer call of `model`, nested models included.

    Raises:
        NotAGraph: the model is a subclass with a `call` of its own, whose inside is not visible.
    """
    if not is_graph(model):
        raise NotAGraph(
            f"Model '{model.name}' ({type(model).__name__}) computes in a `call` of its own, so "
            "its layers cannot be told apart; build it with the functional API or Sequential."
        )
    steps: list[Step] = []
    same: dict[int, keras.KerasTensor] = {}
    inputs, outputs = _trace_into(model, steps, same, prefix="", training=None)

    def canonical(tensor: Any) -> Any:
        while id(tensor) in same:
            tensor = same[id(tensor)]
        return tensor

    steps = [
        Step(s.name, s.layer, _map(canonical, s.args), _map(canonical, s.kwargs), s.outputs)
        for s in steps
    ]
    return Graph(inputs, steps, [canonical(t) for t in outputs])


def _trace_into(
    model: keras.Model,
    steps: list[Step],
    same: dict[int, keras.KerasTensor],
    prefix: str,
    training: bool | None,
) -> tuple[list[keras.KerasTensor], list[keras.KerasTensor]]:
    """Append the calls inside `model` to `steps`; return its symbolic inputs and outputs.

    A nested model is traced on inputs of its own; `same` notes which tensor outside each of them,
    and each of its results, stands for.
    """

    def record(layer: Callable, *args: Any, **kwargs: Any) -> Any:
        kwargs = {k: v for k, v in kwargs.items() if k != "mask" or v is not None}
        if training is not None and "training" not in kwargs and takes_training(layer):
            # `backbone(x, training=False)` holds for every layer inside the backbone.
            kwargs["training"] = training
        outputs = layer(*args, **kwargs)
        if is_graph(layer):
            inner = _trace_into(
                layer, steps, same, f"{prefix}{layer.name}/", kwargs.get("training")
            )
            same.update({id(t): x for t, x in zip(inner[0], _tensors(args), strict=True)})
            same.update({id(x): t for t, x in zip(inner[1], _tensors(outputs), strict=True)})
        else:
            steps.append(Step(prefix + layer.name, layer, args, kwargs, outputs))
        return outputs

    inputs = [keras.Input(batch_shape=t.shape, dtype=t.dtype, name=t.name) for t in model.inputs]
    if isinstance(model, keras.Sequential):
        (x,) = inputs
        for layer in model.layers:
            x = record(layer, x)
        return inputs, [x]
    structure = tree.pack_sequence_as(model.input, inputs)
    # Keras compiles the clone of a compiled model too, and finds no loss of the student's own.
    plain = keras.Model(model.input, model.output)
    clone = keras.models.clone_model(
        plain, input_tensors=structure, clone_function=lambda layer: layer, call_function=record
    )
    return inputs, _tensors(clone.outputs)


def is_graph(layer: Any) -> bool:
    """Whether the inside of `layer` can be read: a functional or sequential model, built."""
    if isinstance(layer, keras.Sequential):
        own_call = type(layer).call is not keras.Sequential.call
        return layer.built and bool(layer.layers) and not own_call
    # A subclass of a functional model may have a `call` of its own, which the graph does not show.
    return isinstance(layer, keras.Model) and type(layer).call is _FUNCTIONAL_CALL


def takes_training(layer: Any) -> bool:
    """Whether a layer is told if the model is being trained."""
    return "training" in inspect.signature(getattr(layer, "call", layer)).parameters


def _tensors(structure: Any) -> list[keras.KerasTensor]:
    return [x for x in tree.flatten(structure) if isinstance(x, keras.KerasTensor)]


def _map(function: Callable, structure: Any) -> Any:
    return tree.map_structure(function, structure)
