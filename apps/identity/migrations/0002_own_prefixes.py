"""Numbers of two companies of an advertiser never collide."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("identity", "0001_initial")]

    operations = [
        migrations.AddConstraint(
            model_name="legalentity",
            constraint=models.UniqueConstraint(
                fields=("advertiser", "number_prefix"), name="one_number_prefix_per_entity"
            ),
        ),
    ]
