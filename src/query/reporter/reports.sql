-- Reports of one reporter by kind, and how long their periods are.
SELECT r.kind, count(*) AS reports, count(DISTINCT r.domain) AS domains, min(r.begin_at) AS first_at, max(r.end_at) AS last_at,
       min(r.end_at - r.begin_at) AS shortest_seconds, max(r.end_at - r.begin_at) AS longest_seconds,
       CAST(total(r.records) AS INTEGER) AS records, CAST(total(r.messages) AS INTEGER) AS messages,
       count(r.conflict_with) AS conflicts, CAST(total(r.records_seen - r.records) AS INTEGER) AS records_rejected
FROM report r
WHERE r.org_name = :org AND r.end_at >= :since AND r.end_at < :until
GROUP BY r.kind
ORDER BY r.kind
