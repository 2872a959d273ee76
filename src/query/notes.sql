-- What a summary leaves out or could not use. `not-spam` is no complaint; problems wait whatever their age.
SELECT r.reports, r.conflicts, r.rejected_records, c.unresolved_complaints, c.untrusted_complaints, p.problems
FROM (SELECT count(*) FILTER (WHERE conflict_with IS NULL) AS reports,
             count(*) FILTER (WHERE conflict_with IS NOT NULL) AS conflicts,
             CAST(total(records_seen - records) FILTER (WHERE conflict_with IS NULL) AS INTEGER) AS rejected_records
      FROM report WHERE end_at >= :since AND end_at < :until AND kind = 'aggregate') r,
     (SELECT count(*) FILTER (WHERE NOT EXISTS (SELECT 1 FROM complaint_recipient p
                                                WHERE p.complaint = complaint.id AND p.status = 'ok')) AS unresolved_complaints,
             count(*) FILTER (WHERE trusted = 0) AS untrusted_complaints
      FROM complaint WHERE arrived_at >= :since AND arrived_at < :until AND feedback_type <> 'not-spam') c,
     (SELECT count(*) AS problems FROM problem
      WHERE solved_at IS NULL AND seen_at >= -9223372036854775808) p
