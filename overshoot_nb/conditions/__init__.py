"""One language over rows: what events, alerts and selections ask."""
