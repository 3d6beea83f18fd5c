"""What is changed in lmms-eval, one file a patch."""
