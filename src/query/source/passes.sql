-- How mail of a window from sending addresses given as a JSON array of their numbers fares.
WITH RECURSIVE days (day) AS (
  SELECT min(d.day) FROM daily_source d WHERE d.day >= period_day(:since) AND d.day <= period_day(:until)
  UNION ALL
  SELECT (SELECT min(n.day) FROM daily_source n WHERE n.day > days.day AND n.day <= period_day(:until))
  FROM days WHERE days.day IS NOT NULL
)
SELECT s.ip, CAST(total(d.messages) AS INTEGER) AS messages,
       CAST(total(d.dmarc_pass) AS INTEGER) AS dmarc_pass,
       CAST(total(d.spf_pass) AS INTEGER) AS spf_pass
FROM days CROSS JOIN json_each(:sources) j CROSS JOIN address s ON s.id = j.value
CROSS JOIN daily_source d ON d.day = days.day AND d.source = s.id
WHERE d.end_at >= :since AND d.end_at < :until
GROUP BY s.id
ORDER BY s.ip
