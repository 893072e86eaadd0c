"""Which loss goes with which last layer, and why the others do not.

| last layer | probability of one class | softmax over the classes | a number on both sides of 0 |
|---|---|---|---|
| one unit | sigmoid + binary cross-entropy | - | linear + hinge, squared hinge |
| a unit a class | - | softmax + categorical (or binary) cross-entropy | - |

Plain Python. Notes are about pairs that can be trained but have a catch.
"""

import re

from xray_helpers.errors import KitError

HINGES = ("hinge", "squared_hinge")

# The last word of a head: "dense4 softmax l2 (output)"; its activation may be missing.
_LAST = re.compile(
    r"dense(?P<units>\d+)(?P<activation> (?!l2\b)[a-z]\w*)?(?P<rest>( l2)?( \(\w+\))?)$"
)


def last_units(head: str) -> int:
    """How many numbers a head in words gives a picture."""
    match = _LAST.search(head.strip())
    return int(match["units"]) if match else 0


def last_activation(head: str, output: str | None, loss: str) -> str:
    """What the last layer of a head applies: `output`, else what the loss wants, else its own.

    A hinge wants a linear unit; a cross-entropy takes what the head says.
    """
    match = _LAST.search(head.strip())
    own = ((match and match["activation"]) or " linear").strip()
    return output or ("linear" if loss in HINGES else own)


def with_activation(head: str, activation: str) -> str:
    """The same head with another activation in its last layer."""
    return _LAST.sub(rf"dense\g<units> {activation}\g<rest>", head.strip())


def refuse_impossible(units: int, activation: str, loss: str) -> None:
    """Stop where a last layer and a loss cannot be trained together.

    Args:
        units: numbers that the last layer gives a picture: 1 for two classes, else one a class.
        activation: "sigmoid", "softmax" or "linear"; others are left to Keras.
        loss: a name out of the setting `loss`; others are left to Keras.

    Raises:
        KitError: why not, and what would do.
    """
    problem = pair_problem(units, activation, loss)
    if problem:
        raise KitError(problem)


def pair_problem(units: int, activation: str | None, loss: str) -> str:
    """Why a pair is impossible, in a sentence; "" where it is not."""
    reason = _reason(units, activation, loss)
    return f"loss='{loss}' with output='{activation}': {reason}" if reason else ""


def _reason(units: int, activation: str | None, loss: str) -> str:
    if not units:
        return ""  # the head does not end with a dense layer: build_model says what is wrong
    hinge, crossentropy = loss in HINGES, loss.endswith("_crossentropy")
    if units == 1 and activation == "softmax":
        return (
            "the model of two classes has one output, and the softmax of one number is always 1; "
            "use output='sigmoid', or 'linear' with a hinge."
        )
    if units == 1 and loss == "categorical_crossentropy":
        return (
            "it needs one output a class, but the model of two classes has one, the probability "
            "of the second class; use loss='binary_crossentropy'."
        )
    if units > 1 and hinge:
        return (
            f"a hinge parts two classes by the sign of one number, but there are {units} classes; "
            "use loss='categorical_crossentropy'."
        )
    if units > 1 and activation == "sigmoid":
        return (
            f"{units} sigmoids are {units} separate probabilities whose sum is not 1, but each "
            "picture has one class; use output='softmax'."
        )
    if crossentropy and activation == "linear":
        fitting = "sigmoid" if units == 1 else "softmax"
        return (
            "a cross-entropy wants probabilities, but a linear layer gives any number; use "
            f"output='{fitting}'" + (", or loss='hinge'." if units == 1 else ".")
        )
    return ""


def pair_note(units: int, activation: str | None, loss: str) -> str:
    """What to know of a pair that can be trained but has a catch, "" for the usual ones."""
    if loss in HINGES and activation == "sigmoid":
        return (
            f"{loss} behind a sigmoid is a poor pair: the score stays between 0 and 1 and never "
            "reaches the -1 that a hinge wants of a negative picture. So the loss cannot fall "
            "below the share of negatives, negatives that are right keep pulling, and where the "
            "sigmoid is flat nothing moves any more. A hinge wants output = 'linear'."
        )
    if loss == "binary_crossentropy" and activation == "softmax" and units > 1:
        return (
            "Binary cross-entropy over a softmax asks of every class, is it this one or not, and "
            "takes the mean: it trains, but its loss cannot be compared with that of categorical "
            "cross-entropy."
        )
    return ""
