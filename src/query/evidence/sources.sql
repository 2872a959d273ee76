-- Sending addresses given as a JSON array of their numbers, and whether each was seen before :since. Reports are numbered as they
-- come, so that the first record of an address that has been there for long is an old one, and one step tells.
SELECT s.id, s.ip,
       EXISTS (SELECT 1 FROM record c CROSS JOIN report r ON r.id = c.report
               WHERE c.source = s.id AND r.end_at < :since AND r.counted) AS seen_before
FROM json_each(:sources) j CROSS JOIN address s ON s.id = j.value
