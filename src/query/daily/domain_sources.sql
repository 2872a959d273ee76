-- The same for one policy domain.
SELECT d.source,
       CAST(total(d.messages) AS INTEGER) AS messages,
       CAST(total(d.messages) FILTER (WHERE d.dkim = 1 OR d.spf = 1) AS INTEGER) AS dmarc_pass,
       CAST(total(d.messages) FILTER (WHERE d.dkim = 1) AS INTEGER) AS dkim_pass,
       CAST(total(d.messages) FILTER (WHERE d.spf = 1) AS INTEGER) AS spf_pass,
       CAST(total(d.messages) FILTER (WHERE d.dkim <> 1 AND d.spf <> 1 AND (d.dkim = -1 OR d.spf = -1)) AS INTEGER) AS unknown,
       CAST(total(d.messages) FILTER (WHERE d.disposition = 1) AS INTEGER) AS quarantine,
       CAST(total(d.messages) FILTER (WHERE d.disposition = 2) AS INTEGER) AS reject,
       CAST(total(d.messages) FILTER (WHERE d.reason_set <> 0 AND EXISTS (SELECT 1 FROM reason q WHERE q.reason_set = d.reason_set
         AND q.type IN ('forwarded', 'mailing_list', 'trusted_forwarder'))) AS INTEGER) AS forwarded,
       CAST(total(d.messages) FILTER (WHERE EXISTS (SELECT 1 FROM dkim_result k
         WHERE k.auth_set = d.auth_set AND k.result = 'pass')) AS INTEGER) AS dkim_any,
       CAST(total(d.messages) FILTER (WHERE EXISTS (SELECT 1 FROM spf_result k
         WHERE k.auth_set = d.auth_set AND k.result = 'pass')) AS INTEGER) AS spf_any,
       min(d.begin_at) AS first_at, max(d.end_at) AS last_at
FROM daily_result d
WHERE d.day >= :first AND d.day <= :last AND d.end_at >= :since AND d.end_at < :until AND (:verified = 0 OR d.verified)
  AND d.domain = (SELECT id FROM text WHERE value = :domain)
GROUP BY d.day, d.source
