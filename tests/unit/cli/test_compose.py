"""What the composition refuses."""

from dataclasses import replace

import pytest

from parley.cli.compose import open_recognizer
from parley.config import Settings
from parley.errors import ConfigError


def test_a_recogniser_that_is_replaced_only_when_nobody_waits_any_more_is_refused() -> None:
    settings = Settings()
    late = replace(settings, asr=replace(settings.asr, stuck_after=settings.session.limits.asr_timeout))
    with pytest.raises(ConfigError, match=r"asr\.stuck_after .* less than session\.limits\.asr_timeout"):
        open_recognizer(late)
