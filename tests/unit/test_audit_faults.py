"""Faults planted in generated pictures on disk: the audit finds each, and none where none is."""

import hashlib
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xray_helpers.data.audit import Audit, audit
from xray_helpers.data.class_zip import class_pictures
from xray_helpers.data.generate import write_demo
from xray_helpers.data.plant import plant_marker

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def clean_sets(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("generated")
    return [
        write_demo(
            folder / str(seed), seed=seed, per_class=22, test_per_class=5, size=64, progress=False
        )
        for seed in SEEDS
    ]


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> Path:
    """Few pictures, but with detail."""
    folder = tmp_path_factory.mktemp("few") / "data"
    return write_demo(folder, seed=1, per_class=5, test_per_class=3, progress=False)


@pytest.fixture
def generated(few, tmp_path) -> Path:
    return shutil.copytree(few / "all", tmp_path / "data" / "all").parent


def kinds(result: Audit, *severities: str) -> list[str]:
    return [f.kind for f in result.findings if f.severity in severities]


def only(result: Audit, kind: str):
    (finding,) = [f for f in result.findings if f.kind == kind]
    return finding


def test_clean_pictures_raise_no_alarm(clean_sets):
    for folder in clean_sets:
        result = audit(folder)
        assert kinds(result, "error", "warning") == []
        floors = [f.message for f in result.findings if f.kind == "shortcut_floor"]
        assert len(floors) == 2 and all("no more than chance" in message for message in floors)


def test_a_marker_in_one_class_is_found_where_it_is(clean_sets, tmp_path):
    for seed, folder in zip(SEEDS, clean_sets, strict=True):
        data = tmp_path / str(seed)
        shutil.copytree(folder / "all", data / "all")
        for path in data.glob("all/*/pneumonia_vir/*"):
            with Image.open(path) as picture:
                pixels = np.asarray(picture.convert("RGB"))[None]
            marked = plant_marker(pixels, np.array([0]), corner="upper right")
            Image.fromarray(marked[0]).convert("L").save(path, quality=90)
        result = audit(data)
        alarm = only(result, "shortcut")
        assert alarm.severity == "warning" and result.ok
        assert "the upper right corner (median brightness" in alarm.message
        assert "lower" not in alarm.message and "left corner" not in alarm.message


def saved_again(source: Path, target: Path, how: str) -> None:
    with Image.open(source) as picture:
        picture.load()
    width, height = picture.size
    if how == "resized":
        picture = picture.resize((width * 3 // 4, height * 3 // 4))
    if how == "cut":
        picture = picture.crop((3, 2, width - 3, height - 3))
    picture.save(target, quality=60 if how == "quality" else 92)


@pytest.mark.parametrize("how", ["quality", "resized", "cut"])
def test_a_picture_saved_again_in_test_is_an_error(generated, how):
    source = sorted(generated.glob("all/train/covid/*"))[2]
    target = generated / "all/test/covid/gen-9001-1.jpeg"
    saved_again(source, target, how)
    result = audit(generated)
    finding = only(result, "near_duplicate_in_two_splits")
    assert not result.ok and "train and test" in finding.message
    assert finding.paths == [f"all/train/covid/{source.name}", f"all/test/covid/{target.name}"]
    assert kinds(result, "error", "warning") == ["near_duplicate_in_two_splits"]


def test_a_picture_saved_again_in_its_own_split_is_a_warning(generated):
    source = sorted(generated.glob("all/train/covid/*"))[2]
    saved_again(source, source.with_name("gen-9001-1.jpeg"), "quality")
    result = audit(generated)
    assert only(result, "near_duplicate").severity == "warning" and result.ok


def test_a_picture_saved_again_in_another_class_is_an_error(generated):
    source = sorted(generated.glob("all/train/covid/*"))[2]
    saved_again(source, generated / "all/train/normal/gen-9001-1.jpeg", "quality")
    finding = only(audit(generated), "near_duplicate_in_two_classes")
    assert finding.severity == "error" and "covid and normal" in finding.message


def test_a_copy_in_two_that_was_saved_again_is_the_layout(generated):
    for path in sorted(generated.glob("all/train/*/*")):
        if path.parent.name in ("covid", "normal"):
            target = generated / "two/train" / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            saved_again(path, target, "quality")
    assert not [kind for kind in kinds(audit(generated), "error", "warning") if "near" in kind]


def test_a_patient_split_over_both_is_an_error(generated):
    several = sorted(generated.glob("all/train/*/*-2.jpeg"))[0]
    shutil.move(several, generated / "all/test" / several.parent.name / several.name)
    finding = only(audit(generated), "patient_in_two_splits")
    assert finding.severity == "error" and several.name[:8] in finding.message
    assert "1 of the 13 test pictures of all/" in finding.message


def test_an_unreadable_picture_is_a_warning(generated):
    path = sorted(generated.glob("all/train/covid/*"))[0]
    path.write_bytes(path.read_bytes()[:500])
    finding = only(audit(generated), "unreadable")
    assert finding.severity == "warning"
    assert finding.paths == [path.relative_to(generated).as_posix()]


def png(seed: int) -> bytes:
    file = io.BytesIO()
    values = np.random.default_rng(seed).integers(0, 256, (9, 9), np.uint8)
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


def test_the_files_of_the_class_zip_are_compared_with_the_original_ones(tmp_path, monkeypatch):
    names = [path for path in class_pictures() if path.startswith("all/")]
    known = {}
    for number, name in enumerate(names):
        content = png(number)
        blob = hashlib.sha1(b"blob %d\0%b" % (len(content), content)).hexdigest()
        sha256 = "" if number == 0 else hashlib.sha256(content).hexdigest()
        known[name] = {"path": name, "bytes": "1", "sha256": sha256, "git_blob_sha1": blob}
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    monkeypatch.setattr("xray_helpers.data.checks.originals.class_pictures", lambda: known)
    assert "All 306 pictures" in only(audit(tmp_path), "original_files").message
    (tmp_path / names[0]).write_bytes(png(1000))
    (tmp_path / names[5]).write_bytes(png(1001))
    (tmp_path / names[7]).unlink()
    (tmp_path / "all/train/covid/mine.png").write_bytes(png(1002))
    result = audit(tmp_path)
    assert sorted(only(result, "changed_file").paths) == sorted([names[0], names[5]])
    assert only(result, "missing_file").paths == [names[7]]
    assert only(result, "added_file").paths == ["all/train/covid/mine.png"]
    severities = {f.severity for f in result.findings if f.kind.endswith("_file")}
    assert severities == {"note"}


def test_other_folders_are_not_compared_with_the_class_zip(generated):
    assert not [f for f in audit(generated).findings if f.kind.endswith("_file")]


def test_class_data_here_and_there_saved_again_says_so(class_data):
    finding = [
        f for f in audit(class_data).findings if f.kind in ("changed_file", "original_files")
    ]
    assert len(finding) == 1 and finding[0].severity == "note"
