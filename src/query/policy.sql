-- The policy of each policy domain as its newest report of the window publishes it (of several the first that was stored), and
-- how far the reports of the window reach.
SELECT t.value AS domain, g.reports, g.reporters, g.first_at, g.last_at,
       a.p, a.sp, a.np, a.adkim, a.aspf, a.pct, a.testing
FROM (
  SELECT d.domain, CAST(total(d.reports) AS INTEGER) AS reports, count(DISTINCT nullif(d.org_name, 0)) AS reporters,
         min(d.begin_at) AS first_at, max(d.end_at) AS last_at
  FROM daily_reporter d
  WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
    AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
  GROUP BY d.domain
) g JOIN text t ON t.id = g.domain
JOIN report n ON n.id = (SELECT min(r.id) FROM report r
                         WHERE r.domain = g.domain AND r.end_at = g.last_at AND +r.kind = 'aggregate' AND r.counted
                           AND (:verified = 0 OR r.verification = 'verified'))
JOIN aggregate a ON a.id = n.aggregate
ORDER BY t.value
