-- What reports tell of mail from one address: from one day with mail to the next, from the first that told of the address.
WITH RECURSIVE days (source, day) AS (
  SELECT s.id, (SELECT min(d.day) FROM daily_result d WHERE d.day >= period_day(s.first_at))
  FROM address s WHERE s.ip = :ip
  UNION ALL
  SELECT source, (SELECT min(n.day) FROM daily_result n WHERE n.day > days.day) FROM days WHERE days.day IS NOT NULL
)
SELECT d.sums FROM days CROSS JOIN daily_result d ON d.day = days.day AND d.source = days.source
