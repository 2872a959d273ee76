-- Keys of signing domains, given as a JSON array, that have verified a signature at any time.
SELECT DISTINCT d.value AS domain, e.value AS selector, k.result
FROM json_each(:domains) j CROSS JOIN text d ON d.value = j.value CROSS JOIN dkim_result k ON k.domain = d.id
LEFT JOIN text e ON e.id = k.selector
WHERE k.result = 'pass'
