"""Store what a history's files say: batch by batch, each in a transaction of its own."""
