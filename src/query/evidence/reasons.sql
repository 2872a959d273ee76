-- The override reasons of combinations given as a JSON array of numbers.
SELECT q.reason_set AS id, q.type AS kind, t.value AS comment
FROM json_each(:sets) j CROSS JOIN reason q ON q.reason_set = j.value LEFT JOIN text t ON t.id = q.comment
ORDER BY q.reason_set, q.ordinal
