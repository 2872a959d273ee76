-- What pending.sql says, in the order of exports: the newest complaint or hard bounce for each address and From domain.
SELECT folded, scope, at, address, kind, reason, evidence FROM (
  SELECT w.folded, w.scope, w.at, w.address, w.kind, w.reason, w.evidence,
         row_number() OVER (PARTITION BY w.folded, w.scope ORDER BY w.at DESC, w.kind, w.identity) AS place
  FROM (SELECT p.folded, p.address, 'complaint' AS kind, c.feedback_type AS reason, p.scope,
               c.arrived_at AS at, c.identity,
               'complaint ' || c.id || ': ' || CASE WHEN c.trusted = 0 THEN c.trust_reason ELSE coalesce(p.decision_reason, '') END AS evidence
        FROM complaint_recipient p CROSS JOIN complaint c ON c.id = p.complaint
        WHERE p.decision = 'pending' AND p.complaint >= 0 AND p.folded IS NOT NULL
          AND (:scope IS NULL OR p.scope = '' OR p.scope = :scope)
        UNION ALL
        SELECT p.folded, p.address, 'hard_bounce', coalesce(p.code, p.class), p.scope, p.at, b.identity,
               'bounce ' || b.id || ': ' || p.trust_reason
        FROM bounce_recipient p CROSS JOIN bounce b ON b.id = p.bounce
        WHERE p.decision = 'pending' AND p.bounce >= 0 AND p.class = 'hard' AND p.folded IS NOT NULL
          AND (:scope IS NULL OR p.scope = '' OR p.scope = :scope)) w
  WHERE NOT EXISTS (SELECT 1 FROM suppression_event e WHERE e.folded = w.folded
                    AND (e.scope = '' OR e.scope = w.scope)
                    AND (e.kind = 'lift' AND e.at >= w.at
                         OR e.kind <> 'lift' AND (e.until_at IS NULL OR e.until_at > :now)
                            AND NOT EXISTS (SELECT 1 FROM suppression_event l WHERE l.folded = e.folded AND l.scope = e.scope
                                            AND l.kind = 'lift' AND (l.at, l.id) > (e.at, e.id)))))
WHERE place = 1
ORDER BY folded, scope
