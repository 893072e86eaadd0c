"""Write a smoke copy of every notebook: the notebook as it is, with `smoke = True` passed to it.

    python tests/notebooks/smoke.py FOLDER

The copies lie below the project, whose root the notebooks look for from their own folder upwards.
"""

import shutil
import sys
from pathlib import Path

import papermill

from xray_helpers.settings import NOTEBOOKS as SETTINGS

FOLDER = Path(__file__).parents[2] / "notebooks"
# By name: a student's executed copies may lie beside them.
NOTEBOOKS = [FOLDER / f"{name}.ipynb" for name in SETTINGS]


def write_copies(folder: Path) -> list[Path]:
    """Empty `folder` (runs and cached pictures of earlier copies too) and write the copies."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    copies = [folder / notebook.name for notebook in NOTEBOOKS]
    for notebook, copy in zip(NOTEBOOKS, copies, strict=True):
        papermill.execute_notebook(
            notebook, copy, {"smoke": True}, prepare_only=True, progress_bar=False
        )
    return copies


if __name__ == "__main__":
    for path in write_copies(Path(sys.argv[1])):
        print(path)
