from __future__ import annotations

from hypothesis import settings

# No time limit for an example: on a busy machine a fast one can take long.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
