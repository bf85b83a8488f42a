"""A folder with a small, good history, and a campaign to bring it into.

Django's models are imported by the fixtures: pytest loads this file before Django is set up.
"""

import pytest

PARTNERS = ["partner,name,country,ad_space,ad_space_category", "blog,Blog,DE,blog-main,editorial"]
TOUCHES = [
    "touch_id,visitor_id,occurred_at,kind,channel,partner,ad_space",
    "t1,v1,2025-03-01T12:00:00Z,CLICK,content,blog,blog-main",
    "t2,v1,2025-04-01T12:00:00+02:00,VIEW,content,blog,blog-main",
    "t3,v2,2024-11-05T08:30:00Z,VISIT,seo,,",
]
CONVERSIONS = [
    "order_ref,visitor_id,occurred_at,goal,amount,currency",
    "A1,v1,2025-04-02T12:00:00Z,SALE,83.29,EUR",
    "A2,v2,2025-04-03T12:00:00Z,LEAD,0.00,EUR",
]


class Folder:
    """Writes the three files; what a test does not name is good."""

    def __init__(self, path):
        self.path = path

    def write(self, partners=PARTNERS, touches=TOUCHES, conversions=CONVERSIONS):
        for name, lines in (("partners", partners), ("touches", touches), ("conversions", conversions)):
            content = lines if isinstance(lines, bytes) else "\n".join([*lines, ""]).encode()
            (self.path / f"{name}.csv").write_bytes(content)
        return self.path


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture
def campaign(db):
    from tests.cast import make_advertiser, make_campaign

    return make_campaign(make_advertiser())


@pytest.fixture
def bring(folder, campaign):
    """Write a folder and import it; return the runs of partners, touches and conversions."""
    from apps.core.actors import SYSTEM
    from apps.pipeline.services.importing import import_history
    from tests.cast import NOON

    def bring(into=None, watch=None, **files):
        folder.write(**files)
        return import_history(campaign=into or campaign, folder=folder.path, actor=SYSTEM, now=NOON, watch=watch)

    return bring
