from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("identity", "0002_own_prefixes"),
        ("tracking", "0011_stirred"),
    ]

    operations = [
        migrations.AlterField(
            model_name="statedtouch",
            name="touch_id",
            field=models.UUIDField(),
        ),
        migrations.AddConstraint(
            model_name="statedtouch",
            constraint=models.UniqueConstraint(
                fields=("conversion", "touch_id"), name="a_touch_is_stated_once_of_a_conversion"
            ),
        ),
    ]
