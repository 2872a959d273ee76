-- Complaints about mail from sending addresses given as a JSON array of their numbers, by type and provider.
SELECT 'complaint' AS section, c.feedback_type AS name, c.provider AS detail, NULL AS result,
       CAST(total(c.incidents) AS INTEGER) AS messages, NULL AS dmarc_pass, min(c.arrived_at) AS first_at, max(c.arrived_at) AS last_at
FROM json_each(:sources) j CROSS JOIN complaint c ON c.source = j.value
WHERE c.arrived_at >= :since AND c.arrived_at < :until
GROUP BY 2, 3
ORDER BY messages DESC, 2, 3
