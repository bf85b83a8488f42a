"""What leaves: partner postbacks, webhooks and e-mail (the outbox)."""
