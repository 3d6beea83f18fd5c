"""The only place that imports a harness: plugin, task, model, and what their numbers mean."""
