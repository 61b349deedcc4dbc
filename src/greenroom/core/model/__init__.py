"""The values that everything speaks of: the catalog, facts, specs, verdicts, actions and statuses."""
