"""The collections that `xray data get` knows: what they are, whose, how large and where."""

from dataclasses import dataclass
from typing import Literal

from xray_helpers.errors import KitError

CC_BY_4 = "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
CC_BY_3 = "CC BY 3.0, https://creativecommons.org/licenses/by/3.0/"


@dataclass(frozen=True)
class Way:
    """One place to fetch a collection from.

    Attributes:
        kind: "url" (a file), "drive" (Google Drive), "figshare" or "kaggle".
        where: an address, a file's id, an article's number or a dataset's name.
        checksum: "sha256:…" of the file, where it is known.
    """

    kind: Literal["url", "drive", "figshare", "kaggle"]
    where: str
    checksum: str | None = None


@dataclass(frozen=True)
class Collection:
    """A collection of chest X-rays.

    Attributes:
        name: what the command calls it.
        title: what a student calls it.
        about: what is in it.
        download_mb: size of what is fetched, in million bytes.
        folder: where it is put, below the project's folder.
        licence: of the pictures.
        credit: whom to name when they are used.
        page: where a browser gets it.
        file: what the browser saves.
        ways: where to fetch it, in the order in which they are tried.
        next: what to do with it.
        variable: which environment variable names its folder where it lies elsewhere, if any.
    """

    name: str
    title: str
    about: str
    download_mb: int
    folder: str
    licence: str
    credit: str
    page: str
    file: str
    ways: tuple[Way, ...]
    next: str
    variable: str = ""

    def by_hand(self) -> str:
        """How to get it without this program, as a part of a sentence."""
        return (
            f"by hand: open {self.page} in a browser, save {self.file}, then "
            f"`xray data get {self.name} --from {self.file}`"
        )


_KERMANY_CREDIT = (
    "Kermany D., Zhang K., Goldbaum M. (2018), Labeled Optical Coherence Tomography (OCT) and "
    "Chest X-Ray Images for Classification, Mendeley Data, V2, doi:10.17632/rscbjbr9sj.2"
)

COLLECTIONS = {
    c.name: c
    for c in (
        Collection(
            name="class",
            title="The class's pictures (A. Xu, March 2020)",
            about="306 chest X-rays in two/ and all/: covid, normal, bacterial and viral pneumonia",
            download_mb=154,
            folder="data/class",
            licence=(
                "covid: one for each picture, and most state none, so do not pass them on; the "
                f"other classes: {CC_BY_4}"
            ),
            credit=(
                "covid: J. P. Cohen et al., covid-chestxray-dataset, and the papers it names; the "
                f"other classes: {_KERMANY_CREDIT}"
            ),
            page="https://drive.google.com/file/d/1Y88tgqpQ1Pjko_7rntcPowOJs_QNOrJ-/view",
            file="Covid_Data_GradientCrescent.zip",
            # No checksum of the zip is published; its files' are in class_files.csv.
            ways=(
                Way("drive", "1Y88tgqpQ1Pjko_7rntcPowOJs_QNOrJ-"),
                Way("drive", "1coM7x3378f-Ou2l6Pg2wldaOI7Dntu1a"),
            ),
            next="`xray data check {folder}`, then notebooks/00_start_here.ipynb",
            variable="XRAY_DATA",
        ),
        Collection(
            name="kermany",
            title="Kermany et al. 2018, children's chest X-rays",
            about="5,856 chest X-rays: normal, bacterial and viral pneumonia",
            download_mb=1236,
            folder="data/kermany",
            licence=CC_BY_4,
            credit=_KERMANY_CREDIT,
            page="https://data.mendeley.com/datasets/rscbjbr9sj/2",
            file="ChestXRay2017.zip",
            ways=(
                Way(
                    "url",
                    "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/"
                    "f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded",
                    "sha256:13efc055629733dbab07877f8b3c9f81097840dbcdaa326a8542322c2281ce36",
                ),
                Way("kaggle", "paultimothymooney/chest-xray-pneumonia"),
            ),
            next="notebooks/06_two_stage.ipynb",
            variable="XRAY_KERMANY",
        ),
        Collection(
            name="hannover",
            title="COVID-19 Image Repository, Hannover Medical School",
            about="243 chest X-rays of 71 patients with covid",
            download_mb=52,
            folder="data/hannover",
            licence=CC_BY_3,
            credit=(
                "Winther H. et al., COVID-19 Image Repository, Hannover Medical School (2020), "
                "doi:10.6084/m9.figshare.12275009"
            ),
            page="https://doi.org/10.6084/m9.figshare.12275009",
            file="12275009.zip",
            ways=(Way("figshare", "12275009"),),
            next="`xray data build data/open` (with `xray data get kermany`)",
        ),
    )
}


def find_collection(name: str) -> Collection:
    """The collection of that name.

    Raises:
        KitError: there is none.
    """
    if name not in COLLECTIONS:
        raise KitError(f"There is no collection {name!r}; it is one of {', '.join(COLLECTIONS)}.")
    return COLLECTIONS[name]
