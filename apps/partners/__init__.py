"""Partners, their people and keys, ad spaces, partnerships, tax and payout profiles."""
