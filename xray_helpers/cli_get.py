"""`xray data get`, `xray data build`, `xray weights get`: what is fetched before the notebooks."""

import sys
from pathlib import Path

import click

from xray_helpers.errors import KitError

_FOLDER = click.Path(path_type=Path)


def is_terminal() -> bool:
    """Whether somebody can be asked."""
    return sys.stdin.isatty()


@click.command("get")
@click.argument("name", metavar="class|kermany|hannover")
@click.argument("folder", type=_FOLDER, required=False)
@click.option("--from", "given", type=_FOLDER, help="A zip, or unpacked folder, that you have.")
@click.option("--yes", is_flag=True, help="Agree to the licence without being asked.")
def data_get(name: str, folder: Path | None, given: Path | None, yes: bool) -> None:
    """Fetch pictures into FOLDER (default: data/NAME, where the notebooks find them).

    Size and licence are shown first. An interrupted download is gone on with when you run it
    again; the folder appears whole or not at all.
    """
    from xray_helpers.data.get.steps import get_data

    def agree() -> bool:
        if yes:
            return True
        if not is_terminal():
            raise KitError("Nobody can be asked here: add --yes if you agree to the licence above.")
        return click.confirm("Do you agree to the licence, and shall it be fetched?")

    progress = sys.stderr.isatty()
    get_data(name, folder, given, agree=agree, say=click.echo, progress=progress)


@click.command("build")
@click.argument("folder", type=_FOLDER)
@click.option("--kermany", type=_FOLDER, help="Kermany's folder (default: data/kermany).")
@click.option("--hannover", type=_FOLDER, help="Hannover's folder (default: data/hannover).")
@click.option("--seed", default=0, show_default=True, type=click.IntRange(0))
@click.option("--per-class", type=click.IntRange(1), help="Training pictures of each class.")
@click.option("--test-per-class", type=click.IntRange(1), help="Test pictures of each class.")
def data_build(
    folder: Path,
    kermany: Path | None,
    hannover: Path | None,
    seed: int,
    per_class: int | None,
    test_per_class: int | None,
) -> None:
    """Put covid (Hannover) and the other classes (Kermany) together in FOLDER.

    As many pictures as in the class's zip, all under open licences, no patient in both train and
    test. Get the two collections with `xray data get` first.
    """
    from xray_helpers.data.get.open_set import build_open_set
    from xray_helpers.paths import resolve

    folder = folder.expanduser().absolute()
    kermany, hannover = kermany or resolve("data/kermany"), hannover or resolve("data/hannover")
    for name, path in (("kermany", kermany), ("hannover", hannover)):
        if not path.is_dir():
            raise KitError(
                f"There is no folder {path}; run `xray data get {name}`, or name it with --{name}."
            )
    new = build_open_set(
        folder,
        kermany,
        hannover,
        seed=seed,
        per_class=per_class,
        test_per_class=test_per_class,
    )
    click.echo(
        f"{folder} {'is ready' if new else 'holds this set already'}: set XRAY_DATA={folder} or "
        "data_dir to use it. Licences and credits are in its ORIGIN.txt; keep that with it."
    )


@click.group()
def weights() -> None:
    """Get the ImageNet weights that backbones start from."""


@weights.command("get")
@click.argument("names", nargs=-1, required=True, metavar="BACKBONE...|all")
@click.option("--to", "folder", type=_FOLDER, help="Another folder than where notebooks look.")
def weights_get(names: tuple[str, ...], folder: Path | None) -> None:
    """Fetch weights files, MD5-checked: for machines that have no internet when notebooks run.

    On a cluster, run it on a login node. A right file that is there is kept, a wrong one refused.
    """
    from xray_helpers.models.weights import get_weights

    to = folder.expanduser().absolute() if folder else None
    get_weights(names, to, say=click.echo, progress=sys.stderr.isatty())
