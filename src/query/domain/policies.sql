-- The policies that reports tell of one policy domain, by when they were seen.
SELECT a.p, a.sp, a.np, a.adkim, a.aspf, a.pct, a.testing, count(*) AS reports, count(DISTINCT r.org_name) AS reporters,
       min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM text p CROSS JOIN report r ON r.domain = p.id JOIN aggregate a ON a.id = r.aggregate
WHERE p.value = :domain AND r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted
GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY first_at, last_at
