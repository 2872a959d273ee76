-- Reports by policy domain, reporter and period in the days of a window, out of the daily sums as they come: who adds them up has fewer
-- things to hold than a sort would. Which periods end in the window is looked at there too: here it would cost more than reading the rows.
SELECT d.domain, d.org_name, d.reports, d.day, d.early, d.short FROM daily_reporter d
WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND (:verified = 0 OR d.verified)
  AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
