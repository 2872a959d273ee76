-- Complaints that name one address and have not led to a suppression.
SELECT 'complaint without effect' AS kind, coalesce(f.value, '') AS scope, c.arrived_at AS at, NULL AS until_at, c.feedback_type AS reason,
       NULL AS author, c.id AS complaint, c.provider, c.trusted, c.trust_reason, m.origin
FROM complaint_recipient p CROSS JOIN complaint c ON c.id = p.complaint CROSS JOIN message m ON m.id = c.message
LEFT JOIN text f ON f.id = c.header_from
WHERE p.folded = :folded AND NOT EXISTS (SELECT 1 FROM suppression_event e WHERE e.complaint = c.id AND e.folded = :folded)
ORDER BY c.arrived_at, c.id
