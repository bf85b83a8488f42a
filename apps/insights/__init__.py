"""Roll-ups and journey analytics, reading only the rooms before it."""
