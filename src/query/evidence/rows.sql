-- What reporters saw of each sending address, by all that tells how mail is authenticated: few rows for each address, because
-- combinations of results are shared. `pass` is NULL where a result was left out and none passes.
SELECT g.source, t.value AS domain, g.auth_set, nullif(g.reason_set, 0) AS reason_set, g.pass, g.messages FROM (
  SELECT d.source, d.domain, d.auth_set, d.reason_set,
         CASE WHEN d.dkim = 1 OR d.spf = 1 THEN 1 WHEN d.dkim = 0 AND d.spf = 0 THEN 0 END AS pass,
         CAST(total(d.messages) AS INTEGER) AS messages
  FROM daily_result d
  WHERE d.day >= (:since - 1) / 86400 - 1 AND d.day <= (:until - 1) / 86400 AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
    AND (:domain IS NULL OR d.domain = (SELECT id FROM text WHERE value = :domain))
  GROUP BY d.source, d.domain, d.auth_set, d.reason_set, 5
) g LEFT JOIN text t ON t.id = g.domain
