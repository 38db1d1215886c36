"""For all tests: things that are made up may take their time on a busy computer."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("samehost", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("samehost")
