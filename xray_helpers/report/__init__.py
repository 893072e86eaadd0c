"""The report: facts of runs as Markdown, the page that is handed in, its check and its hand-in.

| module | idea |
|---|---|
| `run_facts` | a run's facts on a notebook's page |
| `chosen` | which runs the report is about |
| `blocks/` | the generated parts: runs -> Markdown |
| `places`, `pictures_of`, `fill` | where they stand in `report.md`; figures; putting both there |
| `known`, `claims`, `records`, `check` | what is wrong with a report and its runs |
| `tokens`, `typst_text`, `page.typ`, `pdf`, `html_page` | Markdown -> PDF and HTML |
| `executed`, `shown_table`, `submit` | notebooks as Markdown; what is handed in |
| `commands` | `xray report`, `xray submit` |
"""

from xray_helpers.report.run_facts import facts, show_facts

__all__ = ["facts", "show_facts"]
