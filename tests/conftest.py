import os
from pathlib import Path

import pytest


@pytest.fixture
def class_data() -> Path:
    """The class's own data, where there is a copy: $XRAY_DATA."""
    if not os.environ.get("XRAY_DATA"):
        pytest.skip("needs the class data: set XRAY_DATA to the folder that holds two/ and all/")
    return Path(os.environ["XRAY_DATA"])
