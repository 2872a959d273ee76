-- Complaints about mail from one sending address, by type and provider.
SELECT 'complaint' AS section, c.feedback_type AS name, c.provider AS detail, NULL AS result,
       CAST(total(c.incidents) AS INTEGER) AS messages, NULL AS dmarc_pass, min(c.arrived_at) AS first_at, max(c.arrived_at) AS last_at
FROM address s CROSS JOIN complaint c ON c.source = s.id
WHERE s.ip = :ip AND c.arrived_at >= :since AND c.arrived_at < :until
GROUP BY 2, 3
ORDER BY messages DESC, 2, 3
