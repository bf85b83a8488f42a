"""The portal reads the clock; here it stands still. Models are imported late: this file is read before Django is up."""

import pytest
import time_machine


@pytest.fixture(autouse=True)
def clock():
    from tests.portal.stage import NOW

    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def stage(db, clock):
    from tests.portal.stage import make_stage

    return make_stage()


@pytest.fixture
def blog(stage):
    """The blog's browser."""
    from tests.portal.stage import client_of

    return client_of(stage.blog)
