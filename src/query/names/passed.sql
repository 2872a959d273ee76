-- Domains for which SPF or DKIM passed on mail from one address, out of some of what counted reports tell of it: from one day
-- with mail to the next, from the first that told of the address.
WITH RECURSIVE days (source, day) AS (
  SELECT s.id, (SELECT min(d.day) FROM daily_result d WHERE d.day >= (s.first_at - 1) / 86400 - 1)
  FROM address s WHERE s.ip = :ip
  UNION ALL
  SELECT source, (SELECT min(n.day) FROM daily_result n WHERE n.day > days.day) FROM days WHERE days.day IS NOT NULL
), u (dkim_set, spf_set) AS MATERIALIZED (
  SELECT DISTINCT f.dkim_set, f.spf_set FROM (
    SELECT d.dkim_set, d.spf_set FROM days CROSS JOIN daily_result d ON d.day = days.day AND d.source = days.source LIMIT 2000) f
)
SELECT 'spf' AS kind, d.value AS domain
FROM u CROSS JOIN spf_result p ON p.spf_set = u.spf_set AND p.result = 'pass' CROSS JOIN text d ON d.id = p.domain
UNION
SELECT 'dkim', d.value
FROM u CROSS JOIN dkim_result k ON k.dkim_set = u.dkim_set AND k.result = 'pass' CROSS JOIN text d ON d.id = k.domain
