-- What v_suppression says about one address, found by the index, which the view does not offer.
SELECT 'active' AS state, e.address, e.reason, e.scope,
       (SELECT min(f.at) FROM suppression_event f
        WHERE f.folded = e.folded AND f.scope = e.scope AND f.kind <> 'lift'
          AND NOT EXISTS (SELECT 1 FROM suppression_event l
                          WHERE l.folded = f.folded AND l.scope = f.scope AND l.kind = 'lift' AND (l.at, l.id) > (f.at, f.id))
       ) AS since_at,
       e.until_at,
       CASE WHEN e.complaint IS NOT NULL THEN 'complaint ' || e.complaint
            ELSE e.kind || ' by ' || coalesce(e.author, '?') END AS evidence
FROM suppression_event e
WHERE e.folded = :folded AND e.kind <> 'lift' AND (e.until_at IS NULL OR e.until_at > :now)
  AND NOT EXISTS (SELECT 1 FROM suppression_event n
                  WHERE n.folded = e.folded AND n.scope = e.scope AND (n.at, n.id) > (e.at, e.id)
                    AND (n.kind = 'lift' OR n.until_at IS NULL OR n.until_at > :now))
ORDER BY e.scope
