-- The same as window.sql of sending addresses given as a JSON array of their numbers: from one day with mail in the window to the
-- next, and in each straight to the addresses.
WITH RECURSIVE days (day) AS (
  SELECT min(d.day) FROM daily_source d WHERE d.day >= period_day(:since) AND d.day <= period_day(:until)
  UNION ALL
  SELECT (SELECT min(n.day) FROM daily_source n WHERE n.day > days.day AND n.day <= period_day(:until))
  FROM days WHERE days.day IS NOT NULL
)
SELECT d.day, d.source, d.ip, d.sums
FROM days CROSS JOIN json_each(:sources) j CROSS JOIN daily_result d ON d.day = days.day AND d.source = j.value
