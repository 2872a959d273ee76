-- What reporters saw of each sending address, by all that tells how mail is authenticated: few rows for each address, because
-- combinations of results are shared. `pass` is NULL where a result was left out and none passes.
SELECT c.source, t.value AS domain, c.auth_set, c.reason_set,
       CASE WHEN c.dkim = 1 OR c.spf = 1 THEN 1 WHEN c.dkim = 0 AND c.spf = 0 THEN 0 END AS pass,
       CAST(total(c.messages) AS INTEGER) AS messages
FROM report r CROSS JOIN record c ON c.report = r.id LEFT JOIN text t ON t.id = r.domain
WHERE r.end_at >= :since AND r.end_at < :until AND r.kind = 'aggregate' AND r.counted AND (:verified = 0 OR r.verification = 'verified')
  AND (:domain IS NULL OR r.domain = (SELECT id FROM text WHERE value = :domain))
GROUP BY c.source, r.domain, c.auth_set, c.reason_set, 5
