-- Deviations in the reports of the window, newest report first.
SELECT r.id AS report, org.value AS org_name, r.report_id, r.end_at, w.code, w.place, w.text, w.times
FROM report r CROSS JOIN warning w ON w.report = r.id
LEFT JOIN text org ON org.id = r.org_name
WHERE r.end_at >= :since AND r.end_at < :until
  AND (:domain IS NULL OR r.domain = (SELECT id FROM text WHERE value = :domain)) AND (:kind IS NULL OR r.kind = :kind)
  AND (:verified = 0 OR r.verification = 'verified')
ORDER BY r.end_at DESC, r.id DESC, w.id
