"""Both tasks of the assignment, executed: `make demo`, or `python -m xray_helpers.demo`.

Task 1 with VGG16, task 2 with VGG16 and with ResNet50, default recipes, on the real pictures
where there are some and on generated ones otherwise.
"""

import subprocess
import sys
from pathlib import Path

from xray_helpers.errors import KitError
from xray_helpers.evaluation.estimate import Estimate
from xray_helpers.paths import project_root, runs_folder
from xray_helpers.runs.store import list_runs

RUNS = (("01_task1", "vgg16"), ("02_task2", "vgg16"), ("02_task2", "resnet50"))


def main() -> None:
    """Run the notebooks; print where everything is, each accuracy and the floor below it."""
    notebooks, executed = project_root() / "notebooks", runs_folder() / "demo"
    executed.mkdir(parents=True, exist_ok=True)
    done = []
    for number, (notebook, backbone) in enumerate(RUNS, start=1):
        page = executed / f"{notebook}-{backbone}.ipynb"
        print(f"{number} of {len(RUNS)}: {notebook} with {backbone}", flush=True)
        before = {record["id"] for record in list_runs(runs_folder())}
        _papermill(notebooks, f"{notebook}.ipynb", page, backbone)
        record = next(
            r
            for r in list_runs(runs_folder())
            if r["id"] not in before
            and (r["notebook"], r["settings"]["backbone"]) == (notebook, backbone)
        )
        done.append((page, record))
    print(_summary(done))


def _papermill(notebooks: Path, notebook: str, page: Path, backbone: str) -> None:
    command = [sys.executable, "-m", "papermill", "--log-level", "ERROR", notebook, str(page)]
    # The demo is for looking: no timing of uncached epochs, no models on the disk.
    options = {"backbone": backbone, "timed_epochs": 0, "save_model": False}
    for name, value in options.items():
        command += ["-p", name, str(value)]
    done = subprocess.run(command, cwd=notebooks)
    if done.returncode:
        raise KitError(f"{notebook} stopped with an error; it is in {page}.")


def _summary(done: list[tuple[Path, dict]]) -> str:
    lines = ["", "Test accuracy with 95 % interval (the floors have seen no detail of a lung)"]
    tasks = set()
    for _, record in done:
        task = record["task"]
        if task not in tasks:
            tasks.add(task)
            for name, floor in record["floor"].items():
                lines.append(f"  {task}  {name:10} {Estimate.from_dict(floor)}  floor")
        test = Estimate.from_dict(record["test"]["accuracy"])
        marks = " · ".join(record.get("marks", []))
        lines.append(f"  {task}  {record['model']['backbone']:10} {test}  {marks}")
    lines += ["", "Executed notebooks"] + [f"  {page}" for page, _ in done]
    lines += ["Figures"] + [f"  {Path(r['folder']) / 'figures'}" for _, r in done]
    last = done[-1][0]
    lines += ["Comparison of both networks of task 2", f"  {last} (towards its end)"]
    return "\n".join(lines)


if __name__ == "__main__":
    try:
        main()
    except KitError as error:
        sys.exit(f"demo: {error}")
