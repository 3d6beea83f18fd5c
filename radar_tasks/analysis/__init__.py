"""Tables made from runs: no model, no harness, no printing. Everything comes from the samples files."""
