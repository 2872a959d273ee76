-- A text by its number.
SELECT value FROM text WHERE id = ?1
