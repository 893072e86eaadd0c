"""Run the smoke copies and store the outputs that are kept in the notebooks themselves.

    python tests/notebooks/refresh.py FOLDER

Kept are the outputs of cells tagged `keep_output`; all others are stripped. What is kept must be
the same in a smoke run and a real one, on any machine: parameter counts, names of classes.
"""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from smoke import NOTEBOOKS, write_copies


def refresh(folder: Path) -> None:
    """Run every copy in `folder` and rewrite every notebook."""
    copies = write_copies(folder)
    os.environ["XRAY_RUNS"] = str((folder / "runs").resolve())
    os.environ["XRAY_CACHE"] = str((folder / "cache").resolve())
    for notebook, copy in zip(NOTEBOOKS, copies, strict=True):
        executed = nbformat.read(copy, as_version=4)
        NotebookClient(executed, timeout=300, resources={"metadata": {"path": folder}}).execute()
        outputs = {cell.id: cell.get("outputs", []) for cell in executed.cells}
        page = nbformat.read(notebook, as_version=4)
        for cell in page.cells:
            if cell.cell_type != "code":
                continue
            keep = "keep_output" in cell.metadata.get("tags", [])
            cell.outputs = outputs[cell.id] if keep else []
            # nbval compares only cells that look as if they had run; the number says nothing.
            cell.execution_count = 1 if keep else None
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = 1
            cell.metadata.pop("execution", None)
        nbformat.write(page, notebook)
        print(notebook)


if __name__ == "__main__":
    refresh(Path(sys.argv[1]))
