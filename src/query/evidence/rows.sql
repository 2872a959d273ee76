-- What reporters saw in the days of a window, out of the daily sums, as it comes: who adds it up has fewer things to hold than a
-- sort would. Which periods end in the window is looked at there too: here it would cost more than reading the rows.
SELECT d.source, d.domain, d.dkim_set, d.spf_set, d.reason_set, d.dkim, d.spf, d.disposition, d.messages, d.day, d.early, d.short
FROM daily_result d
WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND (:verified = 0 OR d.verified)
  AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
