"""A living demo: an advertiser, its partners, five months of journeys, and a pulse that goes on."""
