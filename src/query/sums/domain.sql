-- The number of a domain.
SELECT id FROM text WHERE value = :domain
