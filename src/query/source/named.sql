-- Sending addresses whose confirmed name is a domain or below it, or that are a provider's.
SELECT s.id, s.ip FROM source_name n CROSS JOIN address s ON s.id = n.source
WHERE n.name = :name OR substr(n.name, -length(:name) - 1) = '.' || :name OR lower(n.provider) = :name
ORDER BY s.ip
