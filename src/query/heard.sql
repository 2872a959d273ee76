-- Who reported, and about what, in a window: by day, so that a rhythm can be told.
SELECT o.value AS org_name, d.value AS domain, count(*) AS reports, count(DISTINCT period_day(r.end_at)) AS days,
       min(r.end_at) AS first_at, max(r.end_at) AS last_at
FROM report r LEFT JOIN text o ON o.id = r.org_name LEFT JOIN text d ON d.id = r.domain
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted
GROUP BY +r.org_name, +r.domain
