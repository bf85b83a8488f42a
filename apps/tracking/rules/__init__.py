"""What a call from the web means: pure decisions about clicks, addresses, signatures and conversions."""
