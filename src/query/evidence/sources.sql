-- Sending addresses given as a JSON array of their numbers, and whether each was seen before :since.
SELECT s.id, s.ip, coalesce(s.first_at < :since, 0) AS seen_before
FROM json_each(:sources) j CROSS JOIN address s ON s.id = j.value
