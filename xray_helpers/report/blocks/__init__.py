"""The generated parts of a report: each a function from the chosen runs to Markdown.

They read records and the files beside them and nothing else, and say the same of the same records
every time: `xray report --check` relies on it.
"""

from collections.abc import Callable

from xray_helpers.errors import KitError
from xray_helpers.report.blocks.networks import architectures
from xray_helpers.report.blocks.other import timing, tsne, two_stage
from xray_helpers.report.blocks.overview import environment, pictures, runs
from xray_helpers.report.blocks.scores import (
    challenge,
    comparison,
    curves_task1,
    curves_task2,
    limits,
)
from xray_helpers.report.chosen import Chosen

BLOCKS: dict[str, Callable[[Chosen], str]] = {
    "runs": runs,
    "pictures": pictures,
    "architectures": architectures,
    "comparison": comparison,
    "curves_task1": curves_task1,
    "curves_task2": curves_task2,
    "tsne": tsne,
    "timing": timing,
    "challenge": challenge,
    "two_stage": two_stage,
    "limits": limits,
    "environment": environment,
}


def written(chosen: Chosen) -> dict[str, str]:
    """Name of a place -> its facts.

    Raises:
        KitError: a record lacks something or holds something else than the kit writes.
    """
    return {name: _written(name, chosen) for name in BLOCKS}


def _written(name: str, chosen: Chosen) -> str:
    try:
        return BLOCKS[name](chosen)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, KitError):
            raise
        raise KitError(
            f"The facts '{name}' cannot be made ({type(error).__name__}: {error}): a record was "
            "edited or is of another version of the kit; run its notebook again."
        ) from error
