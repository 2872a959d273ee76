-- Keys that mail from a domain and those below it was signed with, and on how many messages each passed, out of a JSON array of
-- combinations of DKIM results and how many messages have each: [[7, 120], …].
SELECT t.value AS domain, e.value AS selector,
       CAST(total(j.value ->> 1) FILTER (WHERE k.result = 'pass') AS INTEGER) AS passed,
       CAST(total(j.value ->> 1) AS INTEGER) AS messages
FROM json_each(:sums) j CROSS JOIN dkim_result k ON k.dkim_set = j.value ->> 0
JOIN text t ON t.id = k.domain JOIN text e ON e.id = k.selector
WHERE t.value = :domain OR substr(t.value, -length(:domain) - 1) = '.' || :domain
GROUP BY t.value, e.value
ORDER BY passed DESC, messages DESC, t.value, e.value
LIMIT :limit
