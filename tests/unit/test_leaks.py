"""A run that leaves leaking pictures out stands beside one that keeps them."""

import shutil

from xray_helpers.data import Source, load_data
from xray_helpers.data.generate import write_demo
from xray_helpers.runs.compare import run_name, same_data


def test_runs_with_and_without_leaks_are_on_the_same_data_and_told_apart_by_name(tmp_path):
    folder = write_demo(tmp_path / "data", per_class=5, test_per_class=2, size=48, progress=False)
    leaking = sorted(folder.glob("two/train/covid/*"))[0]
    test = sorted(folder.glob("two/test/covid/*"))[0]
    (folder / "patients.csv").write_text(f"file,patient\n{leaking.name},Ann\n{test.name},Ann\n")
    records, pictures = [], []
    for number, leaks in enumerate(("keep", "drop_train")):
        data = load_data(
            "task1", Source(folder, "other"), image_size=16, leaks=leaks, progress=None
        )
        pictures.append(len(data.pictures))
        records.append(
            {
                "id": f"run-{number}000",
                "status": "complete",
                "test": {},
                "data": {"fingerprint": data.fingerprint},
                "settings": {"leaks": leaks},
                "model": {"recipe": "r"},
            }
        )
    assert pictures == [14, 13]
    assert same_data(records, records[0]["data"]["fingerprint"]) == records
    assert [run_name(record) for record in records] == ["r #0000", "r leaks=drop_train #1000"]
    shutil.rmtree(folder)
