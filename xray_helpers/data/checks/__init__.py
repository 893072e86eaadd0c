"""The checks of `xray data check`: each a function from what was seen of the files to findings.

A finding is an "error" when it would falsify a result, a "warning" when it may mislead, and a
"note" when it is good to know. `CHECKS` lists the checks, in the order of their findings.
"""

from xray_helpers.data.checks.duplicates import identical_files, near_copies
from xray_helpers.data.checks.files import borders, file_modes, sizes, sources
from xray_helpers.data.checks.layout import balance, ignored, missing, read_as, unreadable
from xray_helpers.data.checks.originals import zip_files
from xray_helpers.data.checks.patients import kermany_numbers, patients_in_two, patients_of_classes
from xray_helpers.data.checks.seen import Finding, Measured, Seen, measure, place
from xray_helpers.data.checks.shortcuts import shortcut_alarm, shortcut_floor

__all__ = ["CHECKS", "Finding", "Measured", "Seen", "measure", "place"]

CHECKS = (
    missing,
    patients_in_two,
    identical_files,
    near_copies,
    unreadable,
    sources,
    file_modes,
    shortcut_floor,
    shortcut_alarm,
    read_as,
    balance,
    patients_of_classes,
    kermany_numbers,
    sizes,
    borders,
    zip_files,
    ignored,
)
