"""Touchpoints by month: the table Django made gives way to one partitioned by range of the id (D5)."""

from django.db import migrations

PARTITIONED = """
DROP TABLE tracking_touchpoint;
CREATE TABLE tracking_touchpoint (
    id uuid PRIMARY KEY,
    advertiser_id bigint NOT NULL,
    campaign_id bigint,
    partner_id bigint,
    ad_space_id bigint,
    link_id bigint,
    visitor uuid NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    kind varchar(12) NOT NULL,
    channel varchar(60) NOT NULL,
    channel_class varchar(6) NOT NULL,
    goal varchar(40) NOT NULL DEFAULT '',
    refusal varchar(20) NOT NULL DEFAULT '',
    country varchar(2) NOT NULL DEFAULT '',
    device varchar(10) NOT NULL DEFAULT '',
    sub1 varchar(500) NOT NULL DEFAULT '',
    sub2 varchar(500) NOT NULL DEFAULT '',
    sub3 varchar(500) NOT NULL DEFAULT '',
    sub4 varchar(500) NOT NULL DEFAULT '',
    sub5 varchar(500) NOT NULL DEFAULT ''
) PARTITION BY RANGE (id);
CREATE TABLE tracking_touchpoint_default PARTITION OF tracking_touchpoint DEFAULT;
CREATE INDEX touches_of_visitor ON tracking_touchpoint (advertiser_id, visitor, id);
CREATE INDEX touches_of_partner ON tracking_touchpoint (partner_id, id);

CREATE FUNCTION tracking_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a touchpoint never changes' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER touchpoint_append_only BEFORE UPDATE OR DELETE ON tracking_touchpoint
    FOR EACH ROW EXECUTE FUNCTION tracking_refuse_change();
"""

PLAIN = """
DROP TABLE tracking_touchpoint;
DROP FUNCTION tracking_refuse_change();
CREATE TABLE tracking_touchpoint (id uuid PRIMARY KEY);
"""


class Migration(migrations.Migration):
    dependencies = [("tracking", "0001_initial")]

    operations = [migrations.RunSQL(PARTITIONED, PLAIN)]
