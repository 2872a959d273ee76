-- What v_suppression says about one address, found by the index, which the view does not offer.
SELECT 'active' AS state, e.address, e.reason, e.scope,
       (SELECT min(f.at) FROM suppression_event f
        WHERE f.folded = e.folded AND f.scope = e.scope AND f.kind <> 'lift' AND (f.until_at IS NULL OR f.until_at > :now)
          AND NOT EXISTS (SELECT 1 FROM suppression_event l
                          WHERE l.folded = f.folded AND l.scope = f.scope AND l.kind = 'lift' AND (l.at, l.id) > (f.at, f.id))
       ) AS since_at,
       e.until_at,
       CASE WHEN e.complaint IS NOT NULL THEN 'complaint ' || e.complaint
            WHEN e.bounce IS NOT NULL THEN 'bounce ' || e.bounce
            ELSE e.kind || ' by ' || coalesce(e.author, '?') END AS evidence
FROM suppression_event e
WHERE e.folded = :folded AND e.kind <> 'lift' AND (e.until_at IS NULL OR e.until_at > :now)
  AND NOT EXISTS (SELECT 1 FROM suppression_event n
                  WHERE n.folded = e.folded AND n.scope = e.scope AND (n.at, n.id) > (e.at, e.id)
                    AND (n.kind = 'lift' OR n.until_at IS NULL OR e.until_at IS NOT NULL AND n.until_at > :now))
  AND (e.until_at IS NULL
       OR NOT EXISTS (SELECT 1 FROM suppression_event n
                      WHERE n.folded = e.folded AND n.scope = e.scope AND (n.at, n.id) < (e.at, e.id)
                        AND n.kind <> 'lift' AND n.until_at IS NULL
                        AND NOT EXISTS (SELECT 1 FROM suppression_event l
                                        WHERE l.folded = n.folded AND l.scope = n.scope AND l.kind = 'lift'
                                          AND (l.at, l.id) > (n.at, n.id))))
ORDER BY e.scope
