"""The README's pictures, from the newest runs of `make demo`: `make readme-pictures`.

Only runs on generated pictures are taken: a picture of a patient has no place in a repository.
"""

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from xray_helpers.errors import KitError
from xray_helpers.paths import runs_folder
from xray_helpers.report.chosen import named
from xray_helpers.report.fill import REPORT, read_report, write_report
from xray_helpers.report.pdf import Part, page_pictures
from xray_helpers.runs.record import GENERATED, all_marks
from xray_helpers.runs.store import list_runs

HERE = Path(__file__).parent
WIDTH = 1000  # pixels
# The file's name here, the notebook, its backbone, the figure's name in the run.
FIGURES = (
    ("examples", "02_task2", "vgg16", "examples"),
    ("curves", "02_task2", "vgg16", "learning_curves"),
    ("confusion", "02_task2", "vgg16", "confusion"),
    ("tsne", "02_task2", "vgg16", "tsne"),
    ("grad_cam", "02_task2", "vgg16", "grad_cam"),
    ("comparison", "02_task2", "resnet50", "comparison_accuracy"),
)
REPORT_PAGES = (0, 2)  # shown side by side


def main() -> None:
    """Write every picture."""
    runs = runs_folder()
    wanted = {(notebook, backbone): None for _, notebook, backbone, _ in FIGURES}
    wanted[("01_task1", "vgg16")] = None
    for record in list_runs(runs):
        key = (record.get("notebook"), record.get("model", {}).get("backbone"))
        if record["status"] == "complete" and key in wanted and GENERATED in record["marks"]:
            wanted[key] = record
    for (notebook, backbone), record in wanted.items():
        if record is None:
            raise KitError(
                f"{runs} has no complete run of {notebook} with {backbone} on generated pictures; "
                "run `make demo` where there are no others."
            )
    for name, notebook, backbone, figure in FIGURES:
        folder = Path(wanted[notebook, backbone]["folder"])
        with Image.open(folder / "figures" / f"{figure}.png") as picture:
            _save(picture, name)
    ids = [str(record["id"]) for record in wanted.values()]
    with tempfile.TemporaryDirectory() as folder:
        write_report(Path(folder), runs, tuple(ids))
        text = read_report(Path(folder) / REPORT)
        warning = all_marks(named(runs, ids).all).capitalize()
        pages = page_pictures([Part(text, Path(folder))], "report", warning, dpi=75)
        _save(_beside([Image.open(io.BytesIO(pages[i])) for i in REPORT_PAGES]), "report")


def _beside(pages: list[Image.Image]) -> Image.Image:
    """Pages side by side on grey, so that their edges are seen."""
    gap = 20
    width = sum(page.width for page in pages) + gap * (len(pages) + 1)
    sheet = Image.new("RGB", (width, pages[0].height + 2 * gap), "#999999")
    left = gap
    for page in pages:
        sheet.paste(page, (left, gap))
        left += page.width + gap
    return sheet


def _save(picture: Image.Image, name: str) -> None:
    """Small enough for a page that is read on a screen."""
    picture = picture.convert("RGB")
    if picture.width > WIDTH:
        height = round(picture.height * WIDTH / picture.width)
        picture = picture.resize((WIDTH, height), Image.Resampling.LANCZOS)
    picture.quantize(128).save(HERE / f"{name}.png", optimize=True)


if __name__ == "__main__":
    try:
        main()
    except KitError as problem:
        sys.exit(f"readme-pictures: {problem}")
