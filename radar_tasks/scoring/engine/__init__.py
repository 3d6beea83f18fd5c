"""EncodedQuestion -> OptionScore."""
