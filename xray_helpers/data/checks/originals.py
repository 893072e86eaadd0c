"""Whether the files of the class's zip are the ones that were in it."""

from collections.abc import Iterator

from xray_helpers.data.checks.seen import Finding, Seen, number
from xray_helpers.data.class_zip import class_pictures, is_class_data, is_original


def zip_files(seen: Seen) -> Iterator[Finding]:
    """Files that were changed, are missing, or were added; nothing for another folder."""
    if not is_class_data(seen.root):
        return
    rows = class_pictures()
    rows = {path: row for path, row in rows.items() if path.split("/")[0] in seen.folders}
    here = dict(zip(seen.table["path"], seen.table["sha256"], strict=True))
    changed = [
        path
        for path, sha256 in here.items()
        if path in rows and not is_original(seen.root / path, sha256, rows[path])
    ]
    missing = [path for path in rows if path not in here]
    added = [path for path in here if path not in rows]
    if changed:
        smaller = sum(
            (seen.root / path).stat().st_size < int(rows[path]["bytes"] or 0) for path in changed
        )
        one = len(changed) == 1
        message = (
            f"{number(len(changed), 'file')} {'is' if one else 'are'} not the original "
            f"{'one' if one else 'ones'} of the class's zip: saved again or changed, {smaller} "
            "with fewer bytes; results may differ a little from those of others who use the zip."
        )
        yield Finding("changed_file", "note", message, changed)
    if missing:
        message = f"{number(len(missing), 'picture')} of the class's zip not here."
        yield Finding("missing_file", "note", message, missing)
    if added:
        message = f"{number(len(added), 'picture')} here that the class's zip does not have."
        yield Finding("added_file", "note", message, added)
    if not (changed or missing or added):
        message = f"All {len(rows)} pictures are those of the class's zip, byte for byte."
        yield Finding("original_files", "note", message, [])
