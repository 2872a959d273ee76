-- Every reporter there is, found by stepping through the index from one name to the next, not by reading every report.
WITH RECURSIVE org (id) AS (
  SELECT min(org_name) FROM report
  UNION ALL
  SELECT (SELECT min(r.org_name) FROM report r WHERE r.org_name > org.id) FROM org WHERE org.id IS NOT NULL
)
SELECT org.id, t.value AS org_name,
       (SELECT max(r.end_at) FROM report r WHERE r.org_name = org.id) AS last_at
FROM org CROSS JOIN text t ON t.id = org.id
ORDER BY t.value
