-- The override reasons of a combination.
SELECT type, comment FROM reason WHERE reason_set = ?1 ORDER BY ordinal
