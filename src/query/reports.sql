-- Reports whose period ends in the window, newest first.
SELECT id, kind, org_name, org_email, report_id, domain, begin_at, end_at, records, records_rejected, messages, warnings,
       conflict_with, p, sp, np, adkim, aspf, pct, fo, testing, discovery_method, version, generator, origin, part, seen_at,
       auth, auth_domain, verification, counted
FROM v_report
WHERE end_at >= :since AND end_at < :until
  AND (:domain IS NULL OR domain = :domain) AND (:kind IS NULL OR kind = :kind)
  AND (:verified = 0 OR verification = 'verified')
ORDER BY end_at DESC, id DESC
