"""`python -m radar_tasks.cli`, for launchers that start modules: `torchrun -m radar_tasks.cli track …`."""

from radar_tasks.cli import main

main()
