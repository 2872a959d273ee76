-- Incidents of complaints about mail from each of some sending addresses, given as a JSON array of their numbers.
SELECT s.ip, CAST(total(c.incidents) AS INTEGER) AS incidents
FROM json_each(:sources) j CROSS JOIN complaint c ON c.source = j.value JOIN address s ON s.id = c.source
WHERE c.arrived_at >= :since AND c.arrived_at < :until AND c.feedback_type <> 'not-spam'
GROUP BY c.source
