"""Forecasts: where a run will end and what a larger model will do, with a back-test that says what they are worth."""
