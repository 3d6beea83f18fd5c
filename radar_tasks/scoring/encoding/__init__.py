"""Question -> EncodedQuestion: prompt, tokens, pictures."""
