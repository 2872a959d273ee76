-- The SPF results of combinations given as a JSON array of numbers.
SELECT k.auth_set AS id, d.value AS domain, k.scope, k.result
FROM json_each(:sets) j CROSS JOIN spf_result k ON k.auth_set = j.value LEFT JOIN text d ON d.id = k.domain
ORDER BY k.auth_set, k.ordinal
