"""Users, advertisers, legal entities, memberships with roles, and advertiser API keys."""
