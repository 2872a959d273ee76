-- What was exported last for a target or to a file.
SELECT id, format, scope, at, entries, files FROM export_state WHERE target = :target
