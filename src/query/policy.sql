-- The policy of a policy domain as its newest report publishes it, which ended at :last_at (of several the first that was stored).
SELECT t.value AS domain, a.p, a.sp, a.np, a.adkim, a.aspf, a.pct, a.testing
FROM text t
JOIN report n ON n.id = (SELECT min(r.id) FROM report r
                         WHERE r.domain = t.id AND r.end_at = :last_at AND +r.kind = 'aggregate' AND r.counted
                           AND (:verified = 0 OR r.verification = 'verified'))
JOIN aggregate a ON a.id = n.aggregate
WHERE t.id = :domain
