-- Keys that mail from a domain and those below it was signed with in a window, and on how many messages each passed.
SELECT d.value AS domain, e.value AS selector,
       CAST(total(c.messages) FILTER (WHERE k.result = 'pass') AS INTEGER) AS passed,
       CAST(total(c.messages) AS INTEGER) AS messages
FROM report r CROSS JOIN record c ON c.report = r.id
JOIN dkim_result k ON k.auth_set = c.auth_set JOIN text d ON d.id = k.domain JOIN text e ON e.id = k.selector
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted
  AND (d.value = :domain OR substr(d.value, -length(:domain) - 1) = '.' || :domain)
GROUP BY d.value, e.value
ORDER BY passed DESC, messages DESC, d.value, e.value
LIMIT :limit
