"""Made-up chest X-rays, for when there is no data.

`patient` throws the dice, `anatomy` and `bones` build the chest with the tools in `shapes`,
`lesions` adds the signs of a disease, `film` makes a picture of it, `write` fills a folder.
"""

from xray_helpers.data.generate.film import draw
from xray_helpers.data.generate.write import COUNTS, is_generated, read_mask, write_demo

__all__ = ["COUNTS", "draw", "is_generated", "read_mask", "write_demo"]
