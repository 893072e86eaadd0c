"""Folder of pictures -> table -> splits -> arrays. Imports no TensorFlow."""

from xray_helpers.data.dataset import Dataset, Source, find_source, generated_source, load_data
from xray_helpers.data.stages import first_stage, second_stage
from xray_helpers.data.table import TASK_CLASSES

__all__ = [
    "TASK_CLASSES",
    "Dataset",
    "Source",
    "find_source",
    "first_stage",
    "generated_source",
    "load_data",
    "second_stage",
]
