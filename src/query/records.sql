-- Records of the reports whose period ends in the window. Ordered by time alone, as the index gives it: millions of rows
-- then come as they are read, and are not sorted first.
SELECT report, ordinal, org_name, report_id, domain, begin_at, end_at, source_ip, messages, disposition, dkim, spf, dmarc,
       header_from, envelope_from, envelope_to, reasons, dkim_results, spf_results, conflict_with,
       verification, counted
FROM v_record
WHERE end_at >= :since AND end_at < :until AND (:domain IS NULL OR domain = :domain)
  AND (:verified = 0 OR verification = 'verified')
ORDER BY end_at DESC
