"""The public door: redirects, tag, pixel and postbacks (the hot path)."""
