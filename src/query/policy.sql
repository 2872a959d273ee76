-- The policy of each policy domain as its newest report of the window publishes it, and how far the reports of the window
-- reach. SQLite takes the bare columns from the row of the largest end.
SELECT t.value AS domain, count(*) AS reports, count(DISTINCT r.org_name) AS reporters,
       min(r.begin_at) AS first_at, max(r.end_at) AS last_at,
       a.p, a.sp, a.np, a.adkim, a.aspf, a.pct, a.testing
FROM report r JOIN aggregate a ON a.id = r.aggregate JOIN text t ON t.id = r.domain
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted AND (:verified = 0 OR r.verification = 'verified')
  AND (:domain IS NULL OR t.value = :domain)
GROUP BY +r.domain
ORDER BY t.value
