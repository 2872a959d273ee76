-- Complaints that name an address but are not known to come from a feedback loop, so that nothing follows from them:
-- one row for each address and From domain, without those not mailed anyway and those lifted since.
SELECT 'pending' AS state, p.address, c.feedback_type AS reason, coalesce(f.value, '') AS scope, max(c.arrived_at) AS since_at,
       NULL AS until_at, 'complaint ' || c.id || ': ' || c.trust_reason AS evidence
FROM complaint c CROSS JOIN complaint_recipient p ON p.complaint = c.id LEFT JOIN text f ON f.id = c.header_from
WHERE c.arrived_at >= -9223372036854775808 AND c.trusted = 0 AND c.feedback_type NOT IN ('not-spam', 'auth-failure')
  AND p.status = 'ok' AND p.folded IS NOT NULL
  AND (:scope IS NULL OR f.value IS NULL OR f.value = :scope)
  AND NOT EXISTS (SELECT 1 FROM suppression_event e WHERE e.folded = p.folded
                  AND (e.scope = '' OR e.scope = f.value)
                  AND (e.kind = 'lift' AND e.at >= c.arrived_at
                       OR e.kind <> 'lift' AND (e.until_at IS NULL OR e.until_at > :now)
                          AND NOT EXISTS (SELECT 1 FROM suppression_event l WHERE l.folded = e.folded AND l.scope = e.scope
                                          AND l.kind = 'lift' AND (l.at, l.id) > (e.at, e.id))))
GROUP BY p.folded, f.value
ORDER BY p.address, scope
