-- Domains for which SPF or DKIM passed on mail from one address, out of some of its records.
SELECT 'spf' AS kind, d.value AS domain
FROM (SELECT DISTINCT auth_set FROM (SELECT c.auth_set FROM address s CROSS JOIN record c ON c.source = s.id
                                     WHERE s.ip = :ip LIMIT 2000)) u
JOIN spf_result p ON p.auth_set = u.auth_set AND p.result = 'pass' JOIN text d ON d.id = p.domain
UNION
SELECT 'dkim', d.value
FROM (SELECT DISTINCT auth_set FROM (SELECT c.auth_set FROM address s CROSS JOIN record c ON c.source = s.id
                                     WHERE s.ip = :ip LIMIT 2000)) u
JOIN dkim_result k ON k.auth_set = u.auth_set AND k.result = 'pass' JOIN text d ON d.id = k.domain
