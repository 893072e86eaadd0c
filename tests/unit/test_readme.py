"""What the README shows and names is there."""

import re
from pathlib import Path

import click
import pytest

from xray_helpers.cli import main

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_picture_and_page_that_it_links_to_is_there():
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert {"docs/report.png", "benchmarks/speed.png"} <= set(targets)
    assert not [target for target in targets if not (ROOT / target).is_file()]


def test_its_anchors_are_headings():
    headings = re.findall(r"^#+ (.*)$", TEXT, re.MULTILINE)
    known = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= known


def _words() -> list[list[str]]:
    commands = re.findall(r"(?:^|`)xray ([a-z-]+[^`\n]*)", TEXT, re.MULTILINE)
    return [command.split() for command in commands]


@pytest.mark.parametrize("words", _words(), ids=" ".join)
def test_every_command_and_option_that_it_names_exists(words):
    command: click.Command = main
    while isinstance(command, click.Group):
        assert words[0] in command.commands
        command = command.commands[words.pop(0)]
        if not words:
            return
    options = {name for parameter in command.params for name in parameter.opts}
    named = {word.strip("[]").partition("=")[0] for word in words if word.startswith("-")}
    assert named <= options | {"--help"}


def test_every_make_target_that_it_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", TEXT)) <= targets
