-- Keys that mail from a domain and those below it was signed with in a window, and on how many messages each passed.
SELECT t.value AS domain, e.value AS selector,
       CAST(total(g.messages) FILTER (WHERE k.result = 'pass') AS INTEGER) AS passed,
       CAST(total(g.messages) AS INTEGER) AS messages
FROM (
  SELECT d.dkim_set, total(d.messages) AS messages FROM daily_result d
  WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until
  GROUP BY d.dkim_set
) g JOIN dkim_result k ON k.dkim_set = g.dkim_set JOIN text t ON t.id = k.domain JOIN text e ON e.id = k.selector
WHERE t.value = :domain OR substr(t.value, -length(:domain) - 1) = '.' || :domain
GROUP BY t.value, e.value
ORDER BY passed DESC, messages DESC, t.value, e.value
LIMIT :limit
