-- The DKIM results of combinations given as a JSON array of numbers.
SELECT k.auth_set AS id, d.value AS domain, e.value AS selector, k.result
FROM json_each(:sets) j CROSS JOIN dkim_result k ON k.auth_set = j.value
LEFT JOIN text d ON d.id = k.domain LEFT JOIN text e ON e.id = k.selector
ORDER BY k.auth_set, k.ordinal
