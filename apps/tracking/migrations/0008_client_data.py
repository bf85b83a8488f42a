"""Client data by day: a table partitioned by range of the id, apart from the facts."""

import django.db.models.deletion
from django.db import migrations, models

PARTITIONED = """
CREATE TABLE tracking_clientdata (
    id uuid PRIMARY KEY,
    advertiser_id bigint NOT NULL,
    user_agent varchar(500) NOT NULL DEFAULT '',
    address varchar(43) NOT NULL DEFAULT '',
    referrer varchar(1000) NOT NULL DEFAULT '',
    payload jsonb
) PARTITION BY RANGE (id);
CREATE TABLE tracking_clientdata_default PARTITION OF tracking_clientdata DEFAULT;
"""


class Migration(migrations.Migration):
    dependencies = [("identity", "0002_own_prefixes"), ("tracking", "0007_stated_touches")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(PARTITIONED, "DROP TABLE tracking_clientdata")],
            state_operations=[
                migrations.CreateModel(
                    name="ClientData",
                    fields=[
                        ("id", models.UUIDField(primary_key=True, serialize=False)),
                        (
                            "user_agent",
                            models.CharField(blank=True, default="", max_length=500, verbose_name="browser"),
                        ),
                        (
                            "address",
                            models.CharField(
                                blank=True,
                                default="",
                                help_text="The address cut to /24 or /48.",
                                max_length=43,
                                verbose_name="network",
                            ),
                        ),
                        (
                            "referrer",
                            models.CharField(blank=True, default="", max_length=1000, verbose_name="referrer"),
                        ),
                        ("payload", models.JSONField(null=True, verbose_name="fields of the call")),
                        (
                            "advertiser",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="identity.advertiser",
                            ),
                        ),
                    ],
                    options={"verbose_name": "client data", "verbose_name_plural": "client data"},
                ),
            ],
        ),
    ]
