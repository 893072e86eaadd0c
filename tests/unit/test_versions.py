"""The versions that pyproject.toml, environment.yml and requirements.txt name are the same ones."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def _pin(line: str) -> tuple[str, str]:
    """`Some_Name==1.2 ; marker` -> ("some-name", "1.2")."""
    name, found, version = line.partition(";")[0].strip().partition("==")
    assert found, f"{line!r} pins no version"
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower(), version


@pytest.fixture(scope="module")
def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wanted(project: dict) -> dict[str, str]:
    return dict(map(_pin, project["dependencies"]))


@pytest.fixture(scope="module")
def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def frozen() -> list[str]:
    path = ROOT / "requirements.txt"
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def test_conda_environment_pins_what_pyproject_pins(environment, wanted):
    packages = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert dict(_pin(line) for line in packages if not line.startswith("-e")) == wanted


def test_conda_environment_installs_the_project_itself(environment):
    packages = next(d["pip"] for d in environment["dependencies"] if isinstance(d, dict))
    assert "-e ." in packages
    assert environment["name"] == "xray"
    assert environment["channels"] == ["conda-forge"]


def test_conda_environment_has_a_python_that_the_project_supports(environment, project):
    (python,) = (d for d in environment["dependencies"] if str(d).startswith("python="))
    minor = int(python.removeprefix("python=3."))
    low, high = (int(n) for n in re.findall(r"3\.(\d+)", project["requires-python"]))
    assert low <= minor < high


def test_requirements_pin_what_pyproject_pins(frozen, wanted, project):
    extras = [
        *project["optional-dependencies"]["dev"],
        *project["optional-dependencies"]["browser"],
    ]
    wanted = wanted | dict(map(_pin, extras))
    pinned = dict(map(_pin, frozen))
    assert {name: pinned.get(name) for name in wanted} == wanted


def test_requirements_pin_each_package_once_and_not_the_project(frozen):
    names = [_pin(line)[0] for line in frozen]
    assert len(names) == len(set(names))
    assert not {"xray-helpers", "pip", "setuptools", "wheel"} & set(names)


def test_requirements_name_no_index_and_no_path(frozen):
    # An address would be that of the machine the file was written on.
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert not [line for line in frozen if line.startswith("-") or "@" in line or "[" in line]
