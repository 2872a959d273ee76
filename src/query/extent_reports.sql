-- First and last end of reports; each is one step into the index on time.
SELECT (SELECT end_at FROM report WHERE end_at >= -9223372036854775808 AND (:kind IS NULL OR kind = :kind)
        ORDER BY end_at LIMIT 1) AS oldest,
       coalesce((SELECT end_at FROM report WHERE end_at < :horizon AND (:kind IS NULL OR kind = :kind)
                 ORDER BY end_at DESC LIMIT 1),
                (SELECT end_at FROM report WHERE end_at >= :horizon AND (:kind IS NULL OR kind = :kind)
                 ORDER BY end_at DESC LIMIT 1)) AS newest,
       (SELECT end_at FROM report WHERE end_at >= -9223372036854775808 AND (:kind IS NULL OR kind = :kind)
        ORDER BY end_at DESC LIMIT 1) AS last
