-- Domains for which SPF or DKIM passed in combinations given as JSON arrays of their numbers.
SELECT 'spf' AS kind, d.value AS domain
FROM json_each(:spf_sets) j CROSS JOIN spf_result p ON p.spf_set = j.value AND p.result = 'pass' CROSS JOIN text d ON d.id = p.domain
UNION
SELECT 'dkim', d.value
FROM json_each(:dkim_sets) j CROSS JOIN dkim_result k ON k.dkim_set = j.value AND k.result = 'pass' CROSS JOIN text d ON d.id = k.domain
