-- Incidents of complaints by sending address, From domain of the mail complained about, and day of arrival.
-- `not-spam` says the opposite of a complaint (RFC 6430). :domain takes what is below it too: a From domain is
-- often a subdomain of the policy domain that governs it.
SELECT s.ip AS source_ip, f.value AS header_from, date(c.arrived_at, 'unixepoch') AS day,
       CAST(total(c.incidents) AS INTEGER) AS incidents
FROM complaint c LEFT JOIN address s ON s.id = c.source LEFT JOIN text f ON f.id = c.header_from
WHERE c.arrived_at >= :since AND c.arrived_at < :until AND c.feedback_type <> 'not-spam' AND (:verified = 0 OR c.trusted)
  AND (:domain IS NULL OR f.value = :domain OR substr(f.value, -length(:domain) - 1) = '.' || :domain)
GROUP BY c.source, c.header_from, day
