-- Who reports about sending addresses given as a JSON array of their numbers. The daily sums tell the periods in which they were
-- seen; of the reports of these the records are read.
WITH RECURSIVE days (day) AS (
  SELECT min(d.day) FROM daily_source d WHERE d.day >= period_day(:since) AND d.day <= period_day(:until)
  UNION ALL
  SELECT (SELECT min(n.day) FROM daily_source n WHERE n.day > days.day AND n.day <= period_day(:until))
  FROM days WHERE days.day IS NOT NULL
)
SELECT 'reporter' AS section, t.value AS name, NULL AS detail, NULL AS result,
       CAST(total(c.messages) AS INTEGER) AS messages,
       CAST(total(c.messages) FILTER (WHERE c.dkim = 1 OR c.spf = 1) AS INTEGER) AS dmarc_pass,
       min(r.begin_at) AS first_at, max(r.end_at) AS last_at
FROM (
  SELECT DISTINCT d.end_at
  FROM days CROSS JOIN json_each(:sources) j CROSS JOIN daily_source d ON d.day = days.day AND d.source = j.value
  WHERE d.end_at >= :since AND d.end_at < :until
) e CROSS JOIN report r ON r.end_at = e.end_at CROSS JOIN record c ON c.report = r.id
LEFT JOIN text t ON t.id = r.org_name
WHERE r.kind = 'aggregate' AND r.counted AND c.source IN (SELECT value FROM json_each(:sources))
GROUP BY 2
ORDER BY messages DESC, 2
