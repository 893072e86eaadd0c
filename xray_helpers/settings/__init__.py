"""What a notebook may be told: one class per notebook, one field per setting.

The `parameters` cell of a notebook holds the same names as its class. A misspelt name, a wrong
type or an impossible value is refused with a sentence that names the setting and what would be
right; `True` is not a number here and `"true"` is not a word.
"""

from xray_helpers.settings.kinds import Settings
from xray_helpers.settings.looking import ShortcutSettings, StartSettings, TsneSettings
from xray_helpers.settings.search import GridSettings
from xray_helpers.settings.task import ModelSettings, PictureSettings, TaskSettings, TimingSettings
from xray_helpers.settings.two_stage import TwoStageSettings

__all__ = [
    "NOTEBOOKS",
    "SMOKE",
    "GridSettings",
    "ModelSettings",
    "PictureSettings",
    "Settings",
    "ShortcutSettings",
    "StartSettings",
    "TaskSettings",
    "TimingSettings",
    "TsneSettings",
    "TwoStageSettings",
]

NOTEBOOKS: dict[str, type[Settings]] = {
    "00_start_here": StartSettings,
    "01_task1": TaskSettings,
    "02_task2": TaskSettings,
    "03_tsne": TsneSettings,
    "04_cpu_vs_gpu": TimingSettings,
    "05_grid_search": GridSettings,
    "06_two_stage": TwoStageSettings,
    "07_shortcuts": ShortcutSettings,
}

# What `smoke` sets, where the notebook has the setting.
SMOKE = {
    "epochs": 2,
    "timed_epochs": 0,
    "image_size": 96,
    "toy_repeats": 2,
    "grid_epochs": "2",
    "at_most": 2,
    "folds": 2,
    "variants": "model1_9,model2_6",
    "variant_pictures": 24,
    "variant_epochs": 1,
    "permutations": 199,
}
