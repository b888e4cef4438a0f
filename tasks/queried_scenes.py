"""Rendered scenes that are asked for a part of their objects: see `tasks.queries`.

Licence: that of the scenes without queries: `digit_scenes`, `emoji_scenes`, `sign_scenes` and
  `stamp_scenes`.
Sizes: theirs, too. On validation and test nothing is asked, as without queries.
Command: launch/train --tasks=sign_scenes_by_query --patch=scale_bias+query_modulation --size=192
  --examples=8 --groups=1 --steps=3000
Expected: nothing is known yet.
"""

import dataclasses

from tasks import digit_scenes, emoji_scenes, queries, registry, sign_scenes, stamp_scenes

for _plain in (digit_scenes, emoji_scenes, sign_scenes, stamp_scenes):
    registry.register(dataclasses.replace(queries.queried(_plain.TASK), description=__doc__))
