-- The same as window.sql of sending addresses given as a JSON array of their numbers: from one day with mail in the window to the
-- next, and in each straight to the addresses.
WITH RECURSIVE days (day) AS (
  SELECT min(d.day) FROM daily_source d WHERE d.day >= (:since - 1) / 86400 - (:since < 1) AND d.day <= (:until - 2) / 86400
  UNION ALL
  SELECT (SELECT min(n.day) FROM daily_source n WHERE n.day > days.day AND n.day <= (:until - 2) / 86400)
  FROM days WHERE days.day IS NOT NULL
)
SELECT d.day, d.source, d.ip, d.sums
FROM days CROSS JOIN json_each(:sources) j CROSS JOIN daily_result d ON d.day = days.day AND d.source = j.value
