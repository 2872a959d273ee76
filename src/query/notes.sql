-- What a summary leaves out or could not use, and how much of it nobody vouches for. `not-spam` is no complaint; problems
-- wait whatever their age and domain. Of the days between the first and the last every period ends in the window.
SELECT d.reports, r.conflicts, r.failed, r.rejected_records, d.unverified_reports, d.unverified_messages,
       c.unresolved_complaints, c.untrusted_complaints, p.problems
FROM (SELECT CAST(total(reports) AS INTEGER) AS reports,
             CAST(total(reports) FILTER (WHERE NOT verified) AS INTEGER) AS unverified_reports,
             CAST(total(messages) FILTER (WHERE NOT verified) AS INTEGER) AS unverified_messages
      FROM daily_reporter
      WHERE day >= period_day(:since) AND day <= period_day(:until)
        AND (day > period_day(:since) AND day < period_day(:until) OR end_at >= :since AND end_at < :until)
        AND (:verified = 0 OR verified)
        AND (:domain IS NULL OR domain = (SELECT id FROM text WHERE value = :domain))) d,
     (SELECT count(*) FILTER (WHERE conflict_with IS NOT NULL) AS conflicts,
             count(*) FILTER (WHERE conflict_with IS NULL AND verification = 'failed') AS failed,
             CAST(total(records_seen - records) FILTER (WHERE counted) AS INTEGER) AS rejected_records
      FROM report INDEXED BY report_odd
      WHERE (conflict_with IS NOT NULL OR verification = 'failed' OR records_seen <> records)
        AND end_at >= :since AND end_at < :until AND kind = 'aggregate'
        AND (:verified = 0 OR verification = 'verified')
        AND (:domain IS NULL OR domain = (SELECT id FROM text WHERE value = :domain))) r,
     (SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM complaint_recipient p
                                                WHERE p.complaint = complaint.id AND p.status = 'ok')) AS unresolved_complaints,
             count(*) FILTER (WHERE trusted = 0) AS untrusted_complaints
      FROM complaint LEFT JOIN text f ON f.id = complaint.header_from
      WHERE arrived_at >= :since AND arrived_at < :until AND feedback_type <> 'not-spam'
        AND (:verified = 0 OR trusted)
        AND (:domain IS NULL OR f.value = :domain OR substr(f.value, -length(:domain) - 1) = '.' || :domain)) c,
     (SELECT count(*) AS problems FROM problem
      WHERE solved_at IS NULL AND seen_at >= -9223372036854775808) p
