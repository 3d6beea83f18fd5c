"""What is wrong with questions, as far as the results of one or more checkpoints, texts and pictures tell."""
