"""The door of the advertiser's staff and finance (Django admin in Unfold)."""
