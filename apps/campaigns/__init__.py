"""Campaigns, enrollments with their periods, tracking links and coupons."""
