-- Addresses that wait for a person: complaints and bounces that name them and may be genuine. One row for each address and
-- scope, without those not mailed anyway and those lifted since.
SELECT 'pending' AS state, w.address, w.reason, w.scope, max(w.at) AS since_at, NULL AS until_at, w.evidence
FROM (SELECT p.folded, p.address, c.feedback_type AS reason, p.scope, c.arrived_at AS at,
             'complaint ' || c.id || ': ' || CASE WHEN c.trusted = 0 THEN c.trust_reason ELSE coalesce(p.decision_reason, '') END AS evidence
      FROM complaint_recipient p CROSS JOIN complaint c ON c.id = p.complaint
      WHERE p.decision = 'pending' AND p.complaint >= 0 AND p.folded IS NOT NULL
        AND (:scope IS NULL OR p.scope = '' OR p.scope = :scope)
      UNION ALL
      SELECT p.folded, p.address, coalesce(p.code, p.class), p.scope, p.at, 'bounce ' || b.id || ': ' || p.trust_reason
      FROM bounce_recipient p CROSS JOIN bounce b ON b.id = p.bounce
      WHERE p.decision = 'pending' AND p.bounce >= 0 AND p.class = 'hard' AND p.folded IS NOT NULL
        AND (:scope IS NULL OR p.scope = '' OR p.scope = :scope)) w
WHERE NOT EXISTS (SELECT 1 FROM suppression_event e WHERE e.folded = w.folded
                  AND (e.scope = '' OR e.scope = w.scope)
                  AND (e.kind = 'lift' AND e.at >= w.at
                       OR e.kind <> 'lift' AND (e.until_at IS NULL OR e.until_at > :now)
                          AND NOT EXISTS (SELECT 1 FROM suppression_event l WHERE l.folded = e.folded AND l.scope = e.scope
                                          AND l.kind = 'lift' AND (l.at, l.id) > (e.at, e.id))))
GROUP BY w.folded, w.scope
ORDER BY w.address, w.scope
