"""Hidden states and pairs of pictures and texts, from which the Modality Integration Rate is made."""
