"""An ended campaign has the moment of its end."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("campaigns", "0001_initial"),
        ("identity", "0002_own_prefixes"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="campaign",
            name="campaign_ends_after_start",
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(("ends_at__isnull", True), ("ends_at__gte", models.F("starts_at")), _connector="OR"),
                name="campaign_ends_after_start",
            ),
        ),
        migrations.RunSQL(
            """
            UPDATE campaigns_campaign SET ends_at = GREATEST(now(), starts_at) WHERE state = 'ENDED' AND ends_at IS NULL;
            SET CONSTRAINTS ALL IMMEDIATE;
            """,
            migrations.RunSQL.noop,
        ),
        migrations.AddConstraint(
            model_name="campaign",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state", "ENDED"), _negated=True), ("ends_at__isnull", False), _connector="OR"
                ),
                name="ended_campaign_has_an_end",
            ),
        ),
    ]
