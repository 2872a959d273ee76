-- First and last end of reports, those included of which the sums are kept; each is one step into the index on time.
SELECT (SELECT min(end_at) FROM (
          SELECT * FROM (SELECT end_at FROM report WHERE end_at >= -9223372036854775808 AND (:kind IS NULL OR kind = :kind)
                         ORDER BY end_at LIMIT 1)
          UNION ALL
          SELECT min(end_at) FROM summed_report WHERE coalesce(:kind, 'aggregate') = 'aggregate')) AS oldest,
       coalesce((SELECT end_at FROM report WHERE end_at < :horizon AND (:kind IS NULL OR kind = :kind)
                 ORDER BY end_at DESC LIMIT 1),
                (SELECT end_at FROM report WHERE end_at >= :horizon AND (:kind IS NULL OR kind = :kind)
                 ORDER BY end_at DESC LIMIT 1),
                (SELECT max(end_at) FROM summed_report WHERE coalesce(:kind, 'aggregate') = 'aggregate')) AS newest,
       (SELECT end_at FROM report WHERE end_at >= -9223372036854775808 AND (:kind IS NULL OR kind = :kind)
        ORDER BY end_at DESC LIMIT 1) AS last
