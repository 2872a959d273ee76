-- Domains for which SPF passed in combinations given as a JSON array of their numbers.
SELECT DISTINCT d.value AS domain
FROM json_each(:spf_sets) j CROSS JOIN spf_result p ON p.spf_set = j.value AND p.result = 'pass' CROSS JOIN text d ON d.id = p.domain
ORDER BY domain
