-- The packed results of every address in the days of a window. A period ends in the window or on a day that it begins or ends in: the
-- asker looks at each.
SELECT d.day, d.source, d.ip, d.sums FROM daily_result d
WHERE d.day >= period_day(:since) AND d.day <= period_day(:until)
