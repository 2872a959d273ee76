-- Who sent the complaints that wait for a person, most of them first.
SELECT f.value AS sender, m.auth, count(DISTINCT c.id) AS complaints,
       count(DISTINCT CASE WHEN p.decision = 'pending' THEN p.folded END) AS people,
       min(c.arrived_at) AS first_at, max(c.arrived_at) AS last_at, max(c.provider) AS provider, max(c.trust_reason) AS trust_reason
FROM complaint c CROSS JOIN message m ON m.id = c.message CROSS JOIN complaint_recipient p ON p.complaint = c.id
LEFT JOIN text f ON f.id = m.from_address
WHERE c.trusted = 0 AND c.arrived_at >= -9223372036854775808 AND p.decision = 'pending'
GROUP BY m.from_address, m.auth
ORDER BY complaints DESC, sender, m.auth
