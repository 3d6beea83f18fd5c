"""For all tests: what the product keeps in the user's home is kept in a folder of the session's instead."""

import os
import tempfile

# Set before anything is imported, and in the environment, so that commands started by tests have it, too.
os.environ.setdefault("RADAR_HOME", tempfile.mkdtemp(prefix="radar-home-"))
