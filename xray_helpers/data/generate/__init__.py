"""Made-up chest X-rays, for when there is no data.

`anatomy` builds the chest of a patient, `lesions` adds the signs of a disease, `film` turns it
into a picture, `write` fills a folder.
"""

from xray_helpers.data.generate.film import draw
from xray_helpers.data.generate.write import COUNTS, is_generated, read_mask, write_demo

__all__ = ["COUNTS", "draw", "is_generated", "read_mask", "write_demo"]
