-- Who reports about one policy domain, by the daily sums: also where the reports are gone and their sums were kept.
WITH RECURSIVE days (day) AS (
  SELECT min(d.day) FROM daily_reporter d WHERE d.day >= period_day(:since) AND d.day <= period_day(:until)
  UNION ALL
  SELECT (SELECT min(n.day) FROM daily_reporter n WHERE n.day > days.day AND n.day <= period_day(:until))
  FROM days WHERE days.day IS NOT NULL
)
SELECT 'reporter' AS section, t.value AS name, NULL AS detail, NULL AS result,
       CAST(total(d.messages) AS INTEGER) AS messages, CAST(total(d.dmarc_pass) AS INTEGER) AS dmarc_pass,
       min(d.begin_at) AS first_at, max(d.end_at) AS last_at
FROM days CROSS JOIN text p CROSS JOIN daily_reporter d ON d.day = days.day AND d.domain = p.id
LEFT JOIN text t ON t.id = d.org_name
WHERE p.value = :domain AND d.end_at >= :since AND d.end_at < :until
GROUP BY 2
ORDER BY messages DESC, 2
