"""`manage.py import_history` says what it did, and what was refused."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from apps.imports.models import ImportRun
from tests.cast import make_advertiser, make_campaign
from tests.imports.conftest import TOUCHES


def run(*arguments):
    out = StringIO()
    call_command("import_history", *arguments, stdout=out)
    return out.getvalue()


def test_each_file_is_told_in_a_line(folder, campaign):
    out = run(str(folder.write()), "--campaign", campaign.slug)
    assert "partners.csv: 1 rows, 1 added, 0 there already, 0 refused\n" in out
    assert "touches.csv: 3 rows, 3 added, 0 there already, 0 refused\n" in out
    assert "conversions.csv: 2 rows, 2 added, 0 there already, 0 refused\n" in out
    assert "touches: 3 of about" in out


def test_the_first_ten_refused_rows_are_listed(folder, campaign):
    rows = [f"t{n},v1,yesterday,CLICK,content,blog,blog-main" for n in range(12)]
    out = StringIO()
    with pytest.raises(CommandError, match="12 rows were refused") as error:
        call_command(
            "import_history", str(folder.write(touches=[TOUCHES[0], *rows])), campaign=campaign.slug, stdout=out
        )
    assert error.value.returncode == 3
    listed = [line for line in out.getvalue().splitlines() if "invalid_occurred_at" in line]
    assert len(listed) == 10
    assert listed[0].split()[:2] == ["line", "2"]
    assert "… and 2 more" in out.getvalue()


def test_an_unknown_campaign_is_answered_with_those_there_are(folder, campaign):
    make_campaign(make_advertiser("umbrella"), "umbrella-shop")
    with pytest.raises(CommandError, match="acme-shop, umbrella-shop") as error:
        run(str(folder.write()), "--campaign", "nowhere")
    assert error.value.returncode == 2
    assert not ImportRun.objects.exists()


def test_a_missing_file_ends_with_its_code(folder, campaign):
    with pytest.raises(CommandError, match=r"file_missing: partners\.csv") as error:
        run(str(folder.path), "--campaign", campaign.slug)
    assert error.value.returncode == 2
